"""No two inputs share the name of their results."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from ultrasam.io.writers.names import ResultNames


def names_of(files: dict[str, int | None]) -> list[str]:
    names = ResultNames()
    names.add({Path(path): count != 1 for path, count in files.items()})
    return [names[Path(path)].name for path in files]


@pytest.mark.parametrize(
    ('path', 'name'),
    [
        ('a/scan.png', 'scan'),
        ('scan.nii.gz', 'scan'),
        ('scan.v2.PNG', 'scan.v2'),
        ('IM0001', 'IM0001'),
        ('1.2.840.10008', '1.2.840.10008'),
        ('.png', '.png'),
        ('Äther 3.dcm', 'Äther 3'),
    ],
)
def test_stem(path, name):
    assert names_of({path: 1}) == [name]


def test_frames_are_numbered():
    names = ResultNames()
    names.add({Path('a.png'): False, Path('b.avi'): True, Path('c.avi'): True})
    assert names[Path('a.png')].frame_name(0) == 'a'
    assert [names[Path('b.avi')].frame_name(i) for i in (0, 1)] == ['b_0000', 'b_0001']
    assert names[Path('c.avi')].frame_name(12345) == 'c_12345'


def test_folders_and_suffixes_tell_clashes_apart():
    files = {'p1/scan.png': 1, 'p2/scan.png': 1, 'p3/scan.png': 1, 'p3/scan.dcm': 4, 'p3/other.png': 1}
    expected = ['p1-scan', 'p2-scan', 'p3-scan-png', 'p3-scan-dcm', 'other']
    for order in permutations(files):
        assert names_of({path: files[path] for path in order}) == [
            expected[list(files).index(p)] for p in order
        ]


def test_what_still_clashes_is_numbered():
    assert names_of({'x/p/a.png': 1, 'y/p/a.png': 1}) == ['p-a-png', 'p-a-png-2']


def test_capitals_do_not_tell_apart():
    assert names_of({'p1/Scan.png': 1, 'p2/scan.png': 1}) == ['p1-Scan', 'p2-scan']


@pytest.mark.parametrize('files', [{'a.avi': 3, 'a_0001.png': 1}, {'a_0001.png': 1, 'a.avi': 3}])
def test_picture_named_like_a_frame(files):
    names = ResultNames()
    names.add({Path(path): count != 1 for path, count in files.items()})
    series, single = names[Path('a.avi')], names[Path('a_0001.png')]
    assert single.frame_name(0) not in [series.frame_name(i) for i in range(3)]


def test_later_calls_keep_names():
    names = ResultNames()
    names.add({Path('p1/a.png'): False})
    names.add({Path('p1/a.png'): False, Path('p2/a.png'): False})
    assert (names[Path('p1/a.png')].name, names[Path('p2/a.png')].name) == ('a', 'p2-a')
    assert Path('p3/a.png') not in names
