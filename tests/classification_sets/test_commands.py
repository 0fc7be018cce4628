"""The commands and pages of the sets of classified images, apart from those of the corpus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.classification_sets.test_faults import run
from tests.classification_sets.test_sweep import DESCRIPTIONS, ROOT, build, convert
from tests.corpus.test_descriptions import faults
from ultrasam.corpus.classification.catalogue import class_catalogue_text
from ultrasam.corpus.errors import EXIT_USAGE
from ultrasam.corpus.layout import open_corpus
from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.errors import InputError

CORPUS = list_descriptions(ROOT / 'datasets/us43d')


@pytest.mark.parametrize('name', DESCRIPTIONS)
def test_description_is_data(name: str) -> None:
    assert faults(DESCRIPTIONS[name].read_text(encoding='utf-8')) == []
    spec = load_spec(DESCRIPTIONS[name])
    assert spec.homepage.startswith('https://') and spec.citation and spec.access and spec.organs
    assert spec.application and spec.as_published() is not None


def test_names_are_none_of_the_corpus() -> None:
    assert not set(CORPUS) & set(DESCRIPTIONS)
    names = [load_spec(path).name for path in (*CORPUS.values(), *DESCRIPTIONS.values())]
    assert len({name.casefold() for name in names}) == len(names)


def test_list_keeps_them_apart() -> None:
    command = [sys.executable, 'datasets/convert.py', 'list']
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    end = shown.index(f'{len(CORPUS)} data sets')
    assert [line.split()[0] for line in shown[:end]] == list(CORPUS)
    assert [line.split()[0] for line in shown[end + 2 : -1]] == list(DESCRIPTIONS)
    assert shown[-1].startswith('4 sets of classified images, no part of the corpus')


def test_page_is_the_catalogue() -> None:
    written = (ROOT / 'datasets/classification/README.md').read_text(encoding='utf-8')
    ours, corpus = (
        {name: load_spec(path) for name, path in found.items()} for found in (DESCRIPTIONS, CORPUS)
    )
    text = class_catalogue_text(ours, corpus)
    assert written == text, (
        'run: python datasets/convert.py readme classification > datasets/classification/README.md'
    )
    for name in DESCRIPTIONS:
        assert f'| `{name}` |' in written
    assert 'it leaks' in written and 'not stated: ask the authors' in written


def test_readme_of_something_else_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run('readme', 'nonsense') == EXIT_USAGE
    assert "give nothing more, or 'classification'" in capsys.readouterr().err
    assert run('readme', 'classification') == 0
    assert capsys.readouterr().out.startswith('# Sets of classified images')
    assert run('readme') == 0
    assert capsys.readouterr().out.startswith('# Data sets')


def test_found_by_name_and_left_out_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build('tn5000', tmp_path / 'raw').source.rename(tmp_path / 'downloads')
    (tmp_path / 'downloads').rename(tmp_path / 'tn5000')
    (tmp_path / 'downloads').mkdir()
    (tmp_path / 'tn5000').rename(tmp_path / 'downloads/tn5000')
    assert run('all', tmp_path / 'downloads', tmp_path / 'out', '--accept-counts') != 0
    assert f'{len(CORPUS)} of {len(CORPUS)} are not in' in capsys.readouterr().err
    assert run('tn5000', tmp_path / 'downloads', tmp_path / 'out', '--accept-counts') == 0
    assert (tmp_path / 'out/TN5000/annotations/train.txt').is_file()
    assert run('tn5000', tmp_path / 'downloads', tmp_path / 'out', '--verify') == 0
    assert 'TN5000: verified, 6 images' in capsys.readouterr().out


def test_unknown_name_lists_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run('pocs', tmp_path, tmp_path) == EXIT_USAGE
    error = capsys.readouterr().err
    assert "no data set 'pocs'" in error and 'pocus' in error and 'busi' in error


def test_tools_of_the_corpus_pass_them_over(tmp_path: Path) -> None:
    convert('tn5000', build('tn5000', tmp_path / 'raw').source, tmp_path / 'out')
    with pytest.raises(InputError, match='no data set in it'):
        open_corpus(tmp_path / 'out')
    other = tmp_path / 'out/BUSI/annotations'
    other.mkdir(parents=True)
    (other / 'BUSI__coco.json').write_text('{}')
    corpus = open_corpus(tmp_path / 'out')
    assert [one.name for one in corpus.datasets] == ['BUSI']
    assert corpus.skipped == ('TN5000: a set of classified images, no part of a corpus',)
