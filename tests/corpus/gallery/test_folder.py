"""The folder of a gallery and the scripts in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ultrasam.corpus.gallery.folder import (
    GalleryFolder,
    address_of,
    folder_name,
    open_gallery,
    read_script,
    script_text,
)
from ultrasam.errors import OutputError

HOSTILE = ['</script><script>', '<!--', 'a\u2028b', '&amp;', '"quoted"\\', 'ümlaut']


def test_scripts_hold_nothing_that_ends_them(tmp_path: Path) -> None:
    text = script_text('data', 'x', HOSTILE)
    assert not set('<>&\u2028\u2029') & set(text)
    path = tmp_path / 'x.js'
    path.write_text(text, encoding='utf-8')
    assert read_script(path) == HOSTILE
    assert json.loads(f'[{text.removeprefix("Gallery.receive(").removesuffix(");" + chr(10))}]')[2] == HOSTILE


@pytest.mark.parametrize('text', ['', 'Gallery.receive("a"', 'Gallery.receive("a", "b");\n', 'null'])
def test_damaged_scripts_are_as_good_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'x.js'
    path.write_text(text)
    assert read_script(path) is None
    assert read_script(tmp_path / 'none.js') is None


def test_names_of_folders_are_plain_and_unlike() -> None:
    names = ['BUSI', 'busi', 'a b', 'a/b', '../a', 'ä' * 300, 'ä' * 299]
    made = [folder_name(name) for name in names]
    assert len({name.lower() for name in made}) == len(names)
    assert all(name.isascii() and len(name) < 60 and '/' not in name and '.' not in name for name in made)


def test_addresses_are_relative_and_quoted(tmp_path: Path) -> None:
    assert address_of(tmp_path / 'da ta#1', tmp_path / 'out/page') == '../../da%20ta%231/'


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(OutputError, match=r'holds thesis\.txt'), open_gallery(tmp_path, 'corpus'):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


def test_galleries_of_another_kind_are_refused(tmp_path: Path) -> None:
    with open_gallery(tmp_path / 'out', 'corpus'):
        pass
    with pytest.raises(OutputError, match='no gallery of this kind'):
        open_gallery(tmp_path / 'out', 'predictions').__enter__()


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / 'out').write_text('')
    with pytest.raises(OutputError, match='out'):
        open_gallery(tmp_path / 'out', 'corpus').__enter__()


def test_only_files_of_earlier_runs_are_removed(tmp_path: Path) -> None:
    gallery = GalleryFolder(tmp_path, 'corpus')
    old, new = gallery.subfolder('thumbs', 'a') / 'old.jpg', gallery.subfolder('thumbs', 'b') / 'new.jpg'
    for path in (old, new, tmp_path / 'index.html'):
        path.write_text('')
    gallery.keep(new)
    assert gallery.remove_rest() == 1
    assert not old.parent.exists()
    assert new.is_file()
    assert (tmp_path / 'index.html').is_file()
