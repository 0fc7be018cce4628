"""Readers of MATLAB records, Pascal VOC names and sampled clips, on good files and bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.classification_sets.raw_trees.fatty_liver import save_records
from tests.classification_sets.raw_trees.pocus import clip_frames, save_clip
from tests.classification_sets.raw_trees.tn5000 import voc
from tests.corpus.raw_trees.common import save, speckle
from ultrasam.corpus import MatlabRecords, SampledFiles, VocNames
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.matlab import MatlabStack, record_spans
from ultrasam.corpus.readers.sampled import SampledStack, sampling_step
from ultrasam.corpus.readers.voc import VocName

RECORDS = MatlabRecords('*.mat', 'data', values={'patient': 0, 'class': 1}, stack=3)
SAMPLED = SampledFiles('{stem}.{ending}')


def item(path: Path, span: tuple[int, int] | None = None) -> Item:
    return Item(SourceFile(path.name, path), {}, span=span)


@pytest.mark.parametrize(
    ('rate', 'step'),
    [(25, 8), (30, 10), (29.97, 9), (3, 1), (5.9, 1), (6, 2), (2.99, 1), (0.5, 1)],
)
def test_step_between_frames(rate: float, step: int) -> None:
    assert sampling_step(rate, 3, 'a.mp4') == step


@pytest.mark.parametrize('rate', [0, -1, float('nan'), float('inf')])
def test_clip_without_rate_is_a_fault(rate: float) -> None:
    with pytest.raises(RawFileError, match=r'a.mp4: states no frames a second'):
        sampling_step(rate, 3, 'a.mp4')


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
    with SampledStack(SAMPLED, item(tmp_path / name)) as stack:
        assert not stack.is_single
        taken = dict(stack.frames([]))
        assert list(taken) == numbers
        for number, image in taken.items():
            assert np.abs(image.astype(int) - frames[number][..., None]).max() <= 4


def test_still_is_one_frame(tmp_path: Path) -> None:
    save(tmp_path / 'a.PNG', speckle(1))
    with SampledStack(SAMPLED, item(tmp_path / 'a.PNG')) as stack:
        assert stack.is_single and [number for number, _ in stack.frames([])] == [0]
        assert np.array_equal(stack.read(0), speckle(1))


def test_damaged_clip_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / 'a.mp4').write_bytes(b'no clip' * 99)
    with pytest.raises(RawFileError, match=r'a.mp4: cannot be opened as a video'):
        SampledStack(SAMPLED, item(tmp_path / 'a.mp4'))


def test_records_are_read_by_place_whatever_fields_are_called(tmp_path: Path) -> None:
    stack = np.stack([speckle(k, (6, 5)) for k in range(3)])
    rows = [(1.0, np.uint8(0), 3, stack), (2.0, True, 0.5, stack[:2].astype(np.float64))]
    save_records(tmp_path / 'a.mat', rows, fields=('p', 'q', 'r', 's'))
    assert record_spans(RECORDS, tmp_path / 'a.mat') == [(0, 1), (1, 2)]
    first, second = (MatlabStack(RECORDS, item(tmp_path / 'a.mat', (k, k + 1))) for k in (0, 1))
    assert (list(first.numbers), list(second.numbers)) == ([0, 1, 2], [0, 1])
    assert (first.groups(0), second.groups(0)) == (
        {'patient': '1', 'class': '0'},
        {'patient': '2', 'class': '1'},
    )
    assert np.array_equal(first.read(2), stack[2]) and np.array_equal(second.read(1), stack[1])


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ((1, 0, 3, np.zeros((4, 4))), r'\[0:1\]: \(4, 4\) of float64 where a stack'),
        ((1, 0, 3, 'text'), 'where a stack'),
        ((1, 0, 3, np.full((2, 4, 4), 300.0)), 'values from'),
        ((1, 0, 3, np.full((2, 4, 4), np.nan)), 'not finite'),
    ],
)
def test_record_without_frames_is_a_fault(tmp_path: Path, row: tuple[object, ...], message: str) -> None:
    save_records(tmp_path / 'a.mat', [row])
    with pytest.raises(RawFileError, match=message):
        MatlabStack(RECORDS, item(tmp_path / 'a.mat', (0, 1))).read(0)


def test_record_of_too_few_fields_is_a_fault(tmp_path: Path) -> None:
    save_records(tmp_path / 'a.mat', [(1, 0)], fields=('a', 'b'))
    with pytest.raises(RawFileError, match='of which none has place 3'):
        MatlabStack(RECORDS, item(tmp_path / 'a.mat', (0, 1)))


def test_matlab_file_that_cannot_be_used(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / 'a.mat'
    path.write_bytes(b'MATLAB 5.0 MAT-file' + b'\0' * 40)
    with pytest.raises(RawFileError, match=r'a.mat: damaged, or no MATLAB file of version 5 to 7'):
        record_spans(RECORDS, path)
    savemat(path, {'other': np.zeros(3)})
    with pytest.raises(RawFileError, match=r"no struct array 'data' among \['other'\]"):
        record_spans(RECORDS, path)
    save_records(path, [(1, 0, 3, np.zeros((2, 40, 40), np.uint8) + speckle(1, (40, 40)))])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(RawFileError, match='damaged'):
        MatlabStack(RECORDS, item(path, (0, 1)))


def name_of(folder: Path, content: str | bytes) -> str:
    path = folder / 'a.xml'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return VocName(VocNames('{id}.xml', 'name'), (SourceFile('a.xml', path),), item(path)).groups(0)['name']


def test_name_that_all_objects_have(tmp_path: Path) -> None:
    assert name_of(tmp_path, voc('a', ['1', '1'])) == '1'
    assert name_of(tmp_path, '<?xml version="1.0"?>\n' + voc('a', [' 0 '])) == '0'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (voc('a', ['0', '1']), "objects of 2 classes, '0' and '1', where one class"),
        (voc('a', []), 'no object, where one class'),
        (voc('a', ['']), 'objects of 1 classes'),
        (voc('a', ['0'])[:-20], 'damaged, or no plain XML'),
        ('<!DOCTYPE a [<!ENTITY b "0">]>' + voc('a', ['&b;']), 'no plain XML .*DTDForbidden'),
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
