from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.inference.readers.files import ramp
from ultrasam.errors import InputError
from ultrasam.io.readers import find_inputs, kind_of, open_frames


def touch(path: Path, content: bytes = b'x') -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ('head', 'kind'),
    [
        (b'\x89PNG\r\n\x1a\n', 'image'),
        (b'\xff\xd8\xff\xe0', 'image'),
        (b'II*\0', 'image'),
        (b'MM\0*', 'image'),
        (b'BM', 'image'),
        (bytes(128) + b'DICM', 'dicom'),
        (b'II*\0' + bytes(124) + b'DICM', 'dicom'),
        (b'NRRD0004\n', 'volume'),
        (b'Comment = a\nNDims = 3\n', 'volume'),
        (b'ObjectType = Image\n', 'volume'),
        ((348).to_bytes(4, 'little') + bytes(340) + b'n+1\0', 'volume'),
        (b'RIFF\0\0\0\0AVI LIST', 'video'),
        (b'\0\0\0\x20ftypisom', 'video'),
        (b'\0\0\0\x14ftypqt  ', 'video'),
        (b'\x1a\x45\xdf\xa3', 'video'),
    ],
)
def test_kind_is_told_by_content_whatever_the_name(tmp_path: Path, head: bytes, kind: str) -> None:
    assert kind_of(touch(tmp_path / 'file.txt', head)) == kind


def test_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / 'a.png')
    shutil.move(tmp_path / 'a.png', tmp_path / 'a.mp4')
    assert np.array_equal(open_frames(tmp_path / 'a.mp4').frame(0).image[..., 0], ramp())


@pytest.mark.parametrize(
    ('name', 'content', 'fault'),
    [
        ('page.png', b'<!doctype html><html></html>', 'no format'),
        ('list.mp4', b'#EXTM3U\nhttp://example.invalid/a.ts\n', 'no format'),
        ('photo.heic', b'\0\0\0\x18ftypheic', 'no format'),
        ('sound.avi', b'RIFF\0\0\0\0WAVEfmt ', 'no format'),
        ('notes.gz', b'\x1f\x8b\x08\0broken', 'no format'),
        ('empty.png', b'', 'empty file'),
    ],
)
def test_other_content_is_refused(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=rf'{name}: .*{fault}'):
        open_frames(touch(tmp_path / name, content))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'none\.png: No such file'):
        open_frames(tmp_path / 'none.png')
    with pytest.raises(InputError, match='a folder'):
        open_frames(tmp_path)


def test_folder_gives_known_files_sorted_and_nothing_hidden(tmp_path: Path) -> None:
    names = ['b.png', 'a.JPG', 'sub/c.nii.gz', 'sub/d.dcm', 'e.mkv']
    files = [touch(tmp_path / name) for name in names]
    files.append(touch(tmp_path / 'sub/IM0001', bytes(128) + b'DICM'))
    for name in ('.hidden.png', '.git/x.png', 'notes.txt', 'volume.raw', 'README'):
        touch(tmp_path / name)
    touch(tmp_path / 'DICOMDIR', bytes(128) + b'DICM')
    assert find_inputs([tmp_path]) == sorted(files)


def test_patterns_files_and_folders_in_order_and_once(tmp_path: Path) -> None:
    a, b = touch(tmp_path / 'a.png'), touch(tmp_path / 'b.png')
    c = touch(tmp_path / 'deep/er/c.png')
    odd = touch(tmp_path / 'image.xyz')
    assert find_inputs([b, str(tmp_path / '*.png'), odd]) == [b, a, odd]
    assert find_inputs([str(tmp_path / '**' / '*.png')]) == sorted([a, b, c])
    assert find_inputs([str(tmp_path / 'd*')]) == [c]


def test_name_with_brackets_is_a_file_first(tmp_path: Path) -> None:
    assert find_inputs([touch(tmp_path / 'scan[1].png')]) == [tmp_path / 'scan[1].png']


def test_nothing_found_names_every_argument(tmp_path: Path) -> None:
    (tmp_path / 'hollow').mkdir()
    touch(tmp_path / 'a.png')
    arguments = [tmp_path / 'a.png', tmp_path / 'b.png', tmp_path / 'hollow', str(tmp_path / '*.dcm')]
    with pytest.raises(InputError, match=r'nothing to read at: \S*b\.png, \S*hollow, \S*\*\.dcm\.') as caught:
        find_inputs(arguments)
    assert 'a.png' not in str(caught.value)


def test_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    touch(tmp_path / 'a.png')
    os.symlink(tmp_path, tmp_path / 'loop')
    assert find_inputs([tmp_path]) == [tmp_path / 'a.png']
