"""The published commands, typed line by line, on converted data sets."""

from __future__ import annotations

import hashlib
import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.test_sweep import TREES
from tests.corpus.tools.conftest import convert
from tests.corpus.tools.tiny import read
from ultrasam.corpus.errors import EXIT_DATA, EXIT_ENVIRONMENT, EXIT_USAGE
from ultrasam.corpus.manifest import verify_dataset

PROJECT = Path(__file__).resolve().parents[3]
COMMANDS = sorted(path.name for path in (PROJECT / 'datasets/tools').glob('*.py'))
CHAIN = """
python datasets/tools/merge_subdir_coco.py ROOT
python datasets/tools/split_coco.py ROOT
python datasets/tools/create_agnostic_coco.py ROOT --mode train
python datasets/tools/create_agnostic_coco.py ROOT --mode val
python datasets/tools/create_agnostic_coco.py ROOT --mode test
python datasets/tools/merge_agnostic_coco.py ROOT ROOT/train.agnostic.noSmall.coco.json --mode train
python datasets/tools/merge_agnostic_coco.py ROOT ROOT/val.agnostic.noSmall.coco.json --mode val
python datasets/tools/merge_agnostic_coco.py ROOT ROOT/test.agnostic.noSmall.coco.json --mode test
"""


def run(line: str, root: Path) -> int:
    """Run a line as it would be typed, in this process."""
    python, script, *arguments = shlex.split(line.replace('ROOT', shlex.quote(str(root))))
    assert python == 'python'
    spec = importlib.util.spec_from_file_location('command', PROJECT / script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    code: int = module.main(arguments)
    return code


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob('*')
        if path.is_file()
    }


def copied(source: Path, target: Path, *, reverse: bool) -> Path:
    """The data sets in another place, made in the given order."""
    for folder in sorted(source.iterdir(), reverse=reverse):
        for path in sorted(folder.rglob('*'), reverse=reverse):
            if path.is_file():
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    return target


def chain(root: Path) -> None:
    """Run the commands; no step changes what an earlier one wrote, the class-aware files above all."""
    before: dict[str, str] = {}
    for line in CHAIN.strip().splitlines():
        assert run(line, root) == 0, line
        after = digests(root)
        assert {name: after.get(name) for name in before} == before, line
        before = after
    aware = [name for name in before if '__coco.json' in name and '.agnostic.' not in name]
    assert any(name.split('/')[-1].startswith('train.') for name in aware)
    for path in (root / name for name in aware):
        whole = path.with_name(f'{path.parents[1].name}__coco.json')
        assert read(path)['categories'] == read(whole)['categories'], path


def check_chain(source: Path, folder: Path) -> Path:
    """Run the chain twice on copies; nothing is lost, changed or left to chance."""
    root = copied(source, folder / 'first', reverse=False)
    before = digests(root)
    chain(root)
    after = digests(root)
    assert {name: after[name] for name in before} == before, 'files of the converter were changed'
    merged = {part: read(root / f'{part}.agnostic.noSmall.coco.json') for part in ('train', 'val', 'test')}
    names = [image['file_name'] for content in merged.values() for image in content['images']]
    assert len(set(names)) == len(names)
    assert {root / name for name in names} == set(root.glob('*/images/*.png')), 'images were lost'
    assert all(content['annotations'] for content in merged.values())
    assert all(
        (root / name).name.startswith('test.') == (part == 'test')
        for part, content in merged.items()
        for name in (image['file_name'] for image in content['images'])
    )
    again = copied(source, folder / 'again' / 'elsewhere', reverse=True)
    chain(again)
    assert digests(again) == after
    return root


def test_published_chain(converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = check_chain(converted, tmp_path)
    text = capsys.readouterr().out
    # both parts have both classes
    assert 'BUSI: train 2, val 2 (by source file)\n  no patient is known' in text
    assert '  classes of train: 1 benign, 1 malignant\n  classes of val: 1 benign, 1 malignant\n' in text
    assert 'BUSBRA: train 2, val 1, test 2 (by subject)' in text
    # a second run finds its own results and changes nothing; the whole chain at once gives the same
    before = digests(root)
    chain(root)
    assert run('python datasets/tools/build_corpus.py ROOT', root) == 0
    made = digests(root)
    assert {name: made[name] for name in before} == before
    assert {name for name in made if name not in before} == {
        'train.noStructure.BUSBRA.json',
        'train.noStructure.GIST514-DB.json',
        'train.noStructure.MMOTU_2d.json',
        'val.noStructure.BUSBRA.json',
        'val.noStructure.GIST514-DB.json',
        'val.noStructure.MMOTU_2d.json',
    }
    assert run('python datasets/tools/verify.py ROOT --pixels', root) == 0
    folders = [path.parent for path in root.glob('*/manifest.json')]
    assert len(folders) > 5
    for folder in folders:
        verify_dataset(folder)  # the files of the chain beside them are no damage
    assert '8 data sets' in capsys.readouterr().out
    assert run('python datasets/tools/stats.py ROOT', root) == 0


@pytest.mark.slow
def test_published_chain_on_all_data_sets(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    pytest.importorskip('h5py')
    source = convert(tuple(TREES), tmp_path / 'raw', tmp_path / 'converted')
    root = check_chain(source, tmp_path)
    assert len(list(root.glob('*/annotations/train.agnostic.*.json'))) == len(TREES) - 1, 'one is all test'


def test_published_options(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = copied(converted, tmp_path / 'data', reverse=False)
    assert run('python datasets/tools/split_coco.py ROOT --train_percent 0.5 --seed 4', root) == 0
    assert len(read(root / 'BUSI/annotations/val.BUSI__coco.json')['images']) == 2
    monkeypatch.chdir(root / 'BUSI')
    assert run('python datasets/tools/merge_subdir_coco.py', root) == 0
    assert run('python datasets/tools/split_coco.py --train_percent 0.5 --seed 4', root) == 0


def test_other_results_are_not_replaced(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(converted, tmp_path / 'data', reverse=False)
    assert run('python datasets/tools/build_corpus.py ROOT', root) == 0
    before = digests(root)
    line = 'python datasets/tools/build_corpus.py ROOT --train_percent 0.5'
    assert run(line, root) == EXIT_ENVIRONMENT
    assert '--overwrite' in capsys.readouterr().err
    assert digests(root) == before
    assert run(f'{line} --overwrite', root) == 0
    assert run('python datasets/tools/verify.py ROOT', root) == 0


def test_faults_are_messages_and_codes(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(converted, tmp_path / 'data', reverse=False)
    (root / 'junk').mkdir()
    assert run('python datasets/tools/split_coco.py ROOT --train_percent 95', root) == EXIT_USAGE
    assert run('python datasets/tools/split_coco.py ROOT', root) == 0
    assert 'skipped: junk: no data set' in capsys.readouterr().out
    path = root / 'BUSI/annotations/train.BUSI__coco.json'
    path.write_bytes(path.read_bytes()[:-50])
    assert run('python datasets/tools/create_agnostic_coco.py ROOT', root) == EXIT_DATA
    assert f'{path} is damaged' in capsys.readouterr().err
    assert run('python datasets/tools/verify.py ROOT', root) == EXIT_DATA
    assert '1 damaged files' in capsys.readouterr().out


def test_held_out_by_hand(converted: Path, tmp_path: Path) -> None:
    root = copied(converted, tmp_path / 'data', reverse=False)
    assert run('python datasets/tools/build_corpus.py ROOT', root) == 0
    line = 'python datasets/tools/merge_agnostic_coco.py ROOT ROOT/mine.json --held-out BUSBRA'
    assert run(line, root) == 0
    by_build = read(root / 'train.noStructure.BUSBRA.json')
    assert read(root / 'mine.json') == by_build
    assert by_build['info']['left_out'] == {'BUSBRA': 'breast', 'BUSI': 'breast'}


def test_commands_explain_themselves() -> None:
    assert len(COMMANDS) >= 7
    for name in ('split_coco.py', 'verify.py'):
        done = subprocess.run(
            [sys.executable, f'datasets/tools/{name}', '--help'],
            cwd=PROJECT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert 'Examples:' in done.stdout
