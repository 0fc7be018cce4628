"""Functions of descriptions that read MATLAB records, Pascal VOC names and sampled clips, good ones and bad."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.classification_sets.raw_trees.fatty_liver import save_records
from tests.classification_sets.raw_trees.pocus import clip_frames, save_clip
from tests.classification_sets.raw_trees.tn5000 import voc
from tests.corpus.raw_trees.common import save, speckle
from ultrasam.corpus import RawFrame
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.plan import Item, SourceFile

ROOT = Path(__file__).resolve().parents[2] / 'datasets/classification'
POCUS, LIVER, TN5000 = (
    runpy.run_path(str(ROOT / f'{name}.py')) for name in ('pocus', 'fatty_liver', 'tn5000')
)


def sampled(path: Path) -> list[RawFrame]:
    return list(POCUS['read_sampled'](Item(SourceFile(path.name, path), {'ending': path.suffix[1:]})))


def record(path: Path, number: int = 0) -> list[RawFrame]:
    return list(LIVER['read_record'](Item(SourceFile(path.name, path), {}, span=(number, number + 1))))


def records(path: Path) -> Any:
    return LIVER['spans'](SourceFile(path.name, path))


@pytest.mark.parametrize(
    ('rate', 'step'),
    [(25, 8), (30, 10), (29.97, 9), (3, 1), (5.9, 1), (6, 2), (2.99, 1), (0.5, 1)],
)
def test_step_between_frames(rate: float, step: int) -> None:
    assert POCUS['sampling_step'](rate, 'a.mp4') == step


@pytest.mark.parametrize('rate', [0, -1, float('nan'), float('inf')])
def test_clip_without_rate_is_a_fault(rate: float) -> None:
    with pytest.raises(RawFileError, match=r'a.mp4: states no frames a second'):
        POCUS['sampling_step'](rate, 'a.mp4')


@pytest.mark.parametrize(
    ('name', 'rate', 'count', 'numbers'),
    [
        ('a.avi', 25, 20, [1, 9, 17]),
        ('b.avi', 2, 5, [1, 2, 3, 4]),
        ('c.avi', 3, 40, list(range(1, 31))),
        ('d.avi', 25, 1, []),
        ('e.gif', 10, 8, [1, 4, 7]),
    ],
)
def test_frames_of_a_clip(tmp_path: Path, name: str, rate: float, count: int, numbers: list[int]) -> None:
    frames = clip_frames(3, count)
    save_clip(tmp_path / name, frames, rate)
    taken = sampled(tmp_path / name)
    assert [frame.index for frame in taken] == numbers
    for frame in taken:
        assert np.abs(frame.image.astype(int) - frames[frame.index][..., None]).max() <= 4


def test_still_is_one_frame(tmp_path: Path) -> None:
    save(tmp_path / 'a.PNG', speckle(1))
    (frame,) = sampled(tmp_path / 'a.PNG')
    assert frame.index is None and np.array_equal(frame.image, speckle(1))


def test_damaged_clip_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / 'a.mp4').write_bytes(b'no clip' * 99)
    with pytest.raises(RawFileError, match=r'a.mp4: cannot be opened as a video'):
        sampled(tmp_path / 'a.mp4')


def test_records_are_read_by_place_whatever_fields_are_called(tmp_path: Path) -> None:
    stack = np.stack([speckle(k, (6, 5)) for k in range(3)])
    rows = [(1.0, np.uint8(0), 3, stack), (2.0, True, 0.5, stack[:2].astype(np.float64))]
    save_records(tmp_path / 'a.mat', rows, fields=('p', 'q', 'r', 's'))
    assert records(tmp_path / 'a.mat') == [(0, 1), (1, 2)]
    first, second = (record(tmp_path / 'a.mat', k) for k in (0, 1))
    assert (len(first), len(second)) == (3, 2)
    assert first[0].groups == {'patient': '1', 'steatosis': '0', 'percent': '3'}
    assert second[0].groups == {'patient': '2', 'steatosis': '1', 'percent': '0.5'}
    assert np.array_equal(first[2].image, stack[2]) and np.array_equal(second[1].image, stack[1])


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ((1, 0, 3, np.zeros((4, 4))), r'\[0:1\]: \(4, 4\) of float64 where frames'),
        ((1, 0, 3, 'text'), 'where frames'),
        ((1, 0, 3, np.full((2, 4, 4), 300.0)), 'values from'),
        ((1, 0, 3, np.full((2, 4, 4), np.nan)), 'not finite'),
    ],
)
def test_record_without_frames_is_a_fault(tmp_path: Path, row: tuple[object, ...], message: str) -> None:
    save_records(tmp_path / 'a.mat', [row])
    with pytest.raises(RawFileError, match=message):
        record(tmp_path / 'a.mat')


def test_record_of_too_few_fields_is_a_fault(tmp_path: Path) -> None:
    save_records(tmp_path / 'a.mat', [(1, 0)], fields=('a', 'b'))
    with pytest.raises(RawFileError, match='at least 4 fields'):
        record(tmp_path / 'a.mat')


def test_matlab_file_that_cannot_be_used(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / 'a.mat'
    path.write_bytes(b'MATLAB 5.0 MAT-file' + b'\0' * 40)
    with pytest.raises(RawFileError, match=r'a.mat: damaged, or not a MATLAB file of version 5 to 7'):
        records(path)
    savemat(path, {'other': np.zeros(3)})
    with pytest.raises(RawFileError, match='no records in `data`'):
        records(path)
    save_records(path, [(1, 0, 3, np.zeros((2, 40, 40), np.uint8) + speckle(1, (40, 40)))])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(RawFileError, match='damaged'):
        record(path)


def name_of(folder: Path, content: str | bytes) -> str:
    path = folder / 'a.xml'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TN5000['name_of_objects'](SourceFile('a.xml', path))


def test_name_that_all_objects_have(tmp_path: Path) -> None:
    assert name_of(tmp_path, voc('a', ['1', '1'])) == '1'
    assert name_of(tmp_path, '<?xml version="1.0"?>\n' + voc('a', [' 0 '])) == '0'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (voc('a', ['0', '1']), "objects of 2 classes, '0' and '1', where one class"),
        (voc('a', []), 'no object, where one class'),
        (voc('a', ['']), 'objects of 1 classes'),
        (voc('a', ['0'])[:-20], 'damaged, or not plain XML'),
        ('<!DOCTYPE a [<!ENTITY b "0">]>' + voc('a', ['&b;']), 'not plain XML .*DTDForbidden'),
        (voc('a', ['0']).encode('utf-16')[:-3], 'damaged'),
        (b'<annotation>' + b' ' * (1 << 20) + b'</annotation>', 'bytes are too many'),
    ],
)
def test_annotation_that_cannot_be_used(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(RawFileError, match=message):
        name_of(tmp_path, content)


def test_entity_that_names_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / 'secret').write_text('0')
    head = f'<!DOCTYPE a [<!ENTITY b SYSTEM "file://{tmp_path}/secret">]>'
    with pytest.raises(RawFileError, match='Forbidden'):
        name_of(tmp_path, head + voc('a', ['&b;']))
