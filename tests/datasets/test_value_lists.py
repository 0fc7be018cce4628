from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.datasets.value_lists import ValueListDataset


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')
    yield
    init_default_scope('mmdet')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / 'images').mkdir()
    for name in ('a.png', 'b.png', 'with blank.png'):
        Image.new('L', (8, 8)).save(tmp_path / 'images' / name)
    return tmp_path


def dataset(root: Path, text: str | None, **options):
    if text is not None:
        (root / 'list.txt').write_text(text)
    options = {'values': ('width_px',), 'ann_file': 'list.txt', **options}
    return ValueListDataset(data_root=str(root), data_prefix='images', pipeline=[], **options)


def test_reads_names_and_values(root: Path):
    data = dataset(root, 'a.png 1.5\nwith blank.png -3e2\n\n')
    assert [data.get_data_info(index)['gt_score'].tolist() for index in range(len(data))] == [[1.5], [-300.0]]
    assert data.get_data_info(1)['img_path'] == str(root / 'images/with blank.png')
    assert data.get_data_info(0)['gt_score'].dtype == np.float32
    assert 'gt_label' not in data.get_data_info(0)
    assert data.metainfo['values'] == ('width_px',)


def test_several_values(root: Path):
    data = dataset(root, 'a.png 1,10\nb.png 2,20\n', values=('width_px', 'height_px'))
    assert data.get_data_info(1)['gt_score'].tolist() == [2.0, 20.0]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.png 1\nb.png wide\n', r"line 2: 'wide' is no number"),
        ('a.png 1\nb.png nan\n', r"line 2: 'nan' is not finite"),
        ('a.png 1\nb.png 1e39\n', r"line 2: '1e39' is not finite"),
        ('a.png 1,2\nb.png 3\n', r"line 1: '1,2' has 2 values, 1 are named \(width_px\)"),
        ('a.png\n', r'line 1: .* is no file name and label'),
        ('a.png 1\na.png 2\n', r'line 2: .* in the list already'),
        ('a.png 1\nc.png 2\n', r'1 of 2 images are not on disk \(.*c\.png\)'),
        ('a.png 4\nb.png 4\n', r'width_px is 4 of all 2 images: there is nothing to learn'),
        ('', 'the list is empty'),
        (None, 'cannot be read'),
    ],
)
def test_faults_are_named(root: Path, text: str | None, message: str):
    with pytest.raises(AnnotationError, match=message):
        dataset(root, text)


def test_a_test_list_may_be_of_one_value(root: Path):
    assert len(dataset(root, 'a.png 4\n', test_mode=True)) == 1


@pytest.mark.parametrize('values', [(), ('a', 'a')])
def test_values_are_named_once(root: Path, values: tuple[str, ...]):
    with pytest.raises(ConfigError, match='name each value'):
        dataset(root, 'a.png 1\nb.png 2\n', values=values)
