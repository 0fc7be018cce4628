"""``ultrasam data plan`` on releases that are not what a description says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_add_a_dataset import write_release
from ultrasam.cli.main import main
from ultrasam.corpus.loading import load_spec


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(['data', 'new', 'tiny']) == 0
    write_release(tmp_path / 'raw')
    text = (tmp_path / 'tiny.py').read_text()
    changes = {
        'images/{patient}_{n}': 'scans/{patient}_{n}',
        'masks/': 'outlines/',
        'labels.csv': 'findings.csv',
        "'file': '{patient}_{n}.png'": "'image': '{patient}_{n}'",
        "'finding': 'finding'": "'finding': 'diagnosis'",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / 'tiny.py').write_text(text)
    load_spec.cache_clear()
    return tmp_path


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(['data', 'plan', 'tiny.py', 'raw', *words])
    output, errors = capsys.readouterr()
    return code, output + errors


def test_a_good_release(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob('*'))
    code, said = plan(capsys)
    assert code == 0, said
    assert said.count('sample: ') == 5
    assert 'the description was never run on a whole release' in said
    assert 'sample: scans/P02_left.png: 1 lesion, 1 liver, subject P02, class malignant' in said
    assert 'next: ultrasam data convert tiny.py raw data' in said
    added = set(folder.rglob('*')) - set(before)
    assert {path.name for path in added if '__pycache__' not in str(path)} == {'tiny.plan.png'}


def test_a_description_that_was_run_on_the_release(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / 'tiny.py').read_text()
    verified = "Verified(release='version 2', date='2026-12-01', files=11)"
    text = text.replace('    leave_out=', f'    verified={verified},\n    leave_out=').replace(
        'Values\n', 'Values, Verified\n'
    )
    (folder / 'tiny.py').write_text(text)
    load_spec.cache_clear()
    assert 'the description was run on version 2 on 2026-12-01, 11 files' in plan(capsys)[1]
    (folder / 'tiny.py').write_text(text.replace('files=11', 'files=0'))
    load_spec.cache_clear()
    code, said = plan(capsys)
    assert code == 2
    assert 'verified: needs a release' in said


def test_what_is_amiss_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = folder / 'raw'
    (raw / 'outlines/P01_left.png').unlink()
    (raw / 'notes.docx').write_text('')
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(raw / 'outlines/P02_left.png')
    code, said = plan(capsys, '--sheet', 'other.png')
    assert code == 3
    assert 'unused: notes.docx' in said
    assert 'cannot be used: scans/P01_left.png: no annotation file' in said
    assert 'cannot be used: scans/P02_left.png' in said
    assert 'nothing would be written before these are mended' in said
    assert (folder / 'other.png').is_file(), 'the others are drawn'


def test_a_source_of_something_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / 'tiny.py').read_text()
    (folder / 'tiny.py').write_text(text.replace('scans/', 'frames/'))
    load_spec.cache_clear()
    code, said = plan(capsys)
    assert code == 3
    assert 'no image matches' in said
    assert not (folder / 'tiny.plan.png').exists()


@pytest.mark.parametrize('words', [['--samples', '-1'], ['--sheet', 'tiny.py/deep.png']])
def test_wrong_use(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(capsys, *words)[0] in (2, 5)
    assert plan(capsys, '--samples', '0')[0] == 0
    assert not (folder / 'tiny.plan.png').exists()
