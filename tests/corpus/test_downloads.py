"""The files that descriptions say where to find, and what a conversion does with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.raw_trees.common import zip_folder
from tests.corpus.test_sweep import build
from tests.downloads.server import FileServer, serving
from ultrasam.cli.main import main
from ultrasam.corpus.library import known_descriptions
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.patterns import compiled
from ultrasam.corpus.spec import DatasetSpec

SPECS = {name: load_spec(path) for name, path in known_descriptions().items()}
PACKED = ('.zip', '.rar', '.7z', '.tar.gz', '.tgz')


def uses(spec: DatasetSpec, file: str) -> bool:
    """Whether a conversion has a use for a file, or a reason to leave it."""
    words = [spec.frames, *spec.annotations, *spec.tables, *spec.rows]
    patterns = [*spec.archives, *spec.leave_out, *(getattr(word, 'pattern', '') for word in words)]
    return any(compiled(text).match(file) for text in patterns if text)


@pytest.mark.parametrize('name', [name for name, spec in SPECS.items() if spec.downloads])
def test_what_is_fetched_is_what_is_read(name: str) -> None:
    spec = SPECS[name]
    assert [one.file for one in spec.downloads if not uses(spec, one.file)] == []
    for one in spec.downloads:
        if one.file.endswith(PACKED) and not one.is_pattern:
            assert any(compiled(text).match(one.file) for text in spec.archives), one.file


def test_open_datasets_say_where_their_files_are() -> None:
    silent = [name for name, spec in SPECS.items() if spec.access.startswith('open') and not spec.downloads]
    assert silent == ['pocus'], 'some of its files are obtained by a script that asks other sites'
    by_hand = [name for name, spec in SPECS.items() if any(one.by_hand for one in spec.downloads)]
    fetched = [name for name, spec in SPECS.items() if any(one.urls or one.doi for one in spec.downloads)]
    assert not {*by_hand} & {*fetched}
    assert len(fetched) > len(by_hand) > 0


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        yield server


def test_from_a_server_to_a_corpus(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = build('stu_hospital', tmp_path / 'raw')
    packed = tmp_path / 'packed.zip'
    if tree.source.is_dir():
        zip_folder(tree.source, packed)
    else:
        shutil.copyfile(tree.source, packed)
    server.files['mirror/stu_hospital/STU-Hospital-master.zip'] = packed.read_bytes()
    monkeypatch.chdir(tmp_path)
    mirror = ['--mirror', f'{server.url}/mirror']
    assert main(['data', 'fetch', 'stu_hospital', '--accept-terms', *mirror]) == 0
    assert main(['data', 'convert', 'all', 'downloads', 'data', '--accept-counts']) == 0
    said = capsys.readouterr().out
    assert '1 of 1 data sets converted' in said
    assert 'not mentioned' not in said, 'the digest beside an archive is no file of the release'
    assert main(['data', 'convert', 'all', 'downloads', 'data']) == 0
    assert 'there already' in capsys.readouterr().out


def test_a_download_that_is_not_finished_is_no_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = build('stu_hospital', tmp_path / 'raw').source
    folder = tmp_path / 'downloads/stu_hospital'
    shutil.copytree(source, folder) if source.is_dir() else shutil.unpack_archive(source, folder)
    (folder / 'more.zip.part').write_bytes(b'PK')
    (folder / 'more.zip.part.json').write_text('{}')
    words = ['data', 'convert', 'stu_hospital', str(tmp_path / 'downloads'), str(tmp_path / 'data')]
    assert main([*words, '--accept-counts']) == 3
    assert 'more.zip.part: a download that is not finished' in capsys.readouterr().err
    assert not (tmp_path / 'data/STU-Hospital').exists()
