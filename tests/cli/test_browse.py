"""Commands that write contact sheets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.tools.tiny import coco, write_dataset, write_json
from tests.golden import ROOT
from ultrasam.cli.main import main


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / 'data', 'BUSI', coco({'a': [1, 2]}))


def test_corpus(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out'
    assert main(['browse', 'corpus', str(dataset.parent), '--out', str(out)]) == 0
    assert capsys.readouterr().out == (
        f'BUSI: 2 of 2 images, from 00_BUSI_001.jpg\n2 images of 1 datasets: {out}\n'
    )


def test_predictions(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, results, out = dataset / 'annotations/BUSI__coco.json', tmp_path / 'r.json', tmp_path / 'out'
    write_json(results, [{'image_id': 0, 'segmentation': None, 'score': 0.1}])
    files = ['--predictions', results, '--annotations', truth, '--images', dataset / 'images', '--out', out]
    assert main(['browse', 'predictions', *map(str, files)]) == 0
    shown = capsys.readouterr().out
    assert '2 objects, mean Dice 0.000; 2 missed, 0 unmatched predictions, 1 images without' in shown
    assert 'not drawn: 00000.png: an object without a mask' in shown
    assert sorted(path.name for path in out.iterdir()) == ['objects.csv', 'worst_001.jpg']


def test_errors_are_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['browse', 'corpus', str(tmp_path / 'none'), '--out', str(tmp_path / 'out')]) == 3
    assert 'no such folder' in capsys.readouterr().err


@pytest.mark.parametrize('command', ['datasets/tools/browse.py', 'tools/browse_predictions.py'])
def test_commands_have_help(command: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / command, '--help'], capture_output=True, text=True, check=True
    )
    assert 'Examples' in done.stdout
    assert '--out DIR' in done.stdout
