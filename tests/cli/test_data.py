"""The group ``ultrasam data`` and the published scripts that call it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden import ROOT
from ultrasam.cli.data import ACTIONS
from ultrasam.cli.main import main

SCRIPTS = {
    'build_corpus': 'build',
    'clean_pool': 'clean-pool',
    'create_agnostic_coco': 'agnostic',
    'merge_agnostic_coco': 'merge',
    'merge_subdir_coco': 'join',
    'near_duplicates': 'near-duplicates',
    'split_coco': 'split',
    'stats': 'statistics',
    'verify': 'verify',
}


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        main([*words, '--help'])
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize('action', ACTIONS)
def test_help_has_examples_that_name_the_action(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys, 'data', action)
    assert f'\n    ultrasam data {action}' in text[text.index('Examples:') :]
    assert 'exit codes:' in text


def test_the_group_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys, 'data')
    assert all(f'\n    {action}' in text for action in ACTIONS)


def test_scripts_are_doors_to_the_group() -> None:
    folder = ROOT / 'datasets/tools'
    assert {path.stem for path in folder.glob('*.py')} == {*SCRIPTS, 'browse'}
    for name, action in SCRIPTS.items():
        text = (folder / f'{name}.py').read_text()
        assert f"main = script('{action}', __file__)" in text
        assert len(text.splitlines()) < 16


def test_a_script_shows_its_own_name_in_examples() -> None:
    command = [sys.executable, 'datasets/tools/split_coco.py', '--help']
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'python datasets/tools/split_coco.py data --splits my_splits' in shown
    assert 'ultrasam data split' not in shown


def test_it_runs_from_any_folder_without_loading_torch(tmp_path: Path) -> None:
    code = (
        'import sys; from ultrasam.cli.main import main; code = main(["data", "list"]); '
        'print("torch" in sys.modules); sys.exit(code)'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('False\n')


def test_held_out_test_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        'data',
        'merge',
        str(tmp_path),
        str(tmp_path / 'o.json'),
        '--held-out',
        'BUSBRA',
        '--mode',
        'test',
    ]
    assert main(words) == 2
    assert '--mode train and val' in capsys.readouterr().err
