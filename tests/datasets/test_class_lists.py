from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope
from PIL import Image
from torch.utils.data import SequentialSampler

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.datasets.class_lists import ClassListDataset, ResumableBatchSampler


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
    options = {'metainfo': dict(classes=('benign', 'malignant')), 'ann_file': 'list.txt', **options}
    return ClassListDataset(data_root=str(root), data_prefix='images', pipeline=[], **options)


def test_reads_names_and_labels(root: Path):
    data = dataset(root, 'a.png 0\nwith blank.png 1\n\n')
    assert [data.get_data_info(index)['gt_label'] for index in range(len(data))] == [0, 1]
    assert data.get_data_info(1)['img_path'] == str(root / 'images/with blank.png')


def test_several_labels(root: Path):
    data = dataset(root, 'a.png 1,0\nb.png -\nwith blank.png 1\n', multi_label=True)
    assert [data.get_data_info(index)['gt_label'] for index in range(3)] == [[0, 1], [], [1]]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.png 0\nb.png 2\n', r"line 2: '2' is no class of the config \(0 benign, 1 malignant\)"),
        ('a.png 0\nb.png -1\n', r"line 2: '-1' is no class"),
        ('a.png malignant\n', r"line 1: 'malignant' is no class"),
        ('a.png 0,1\nb.png 1\n', r'line 1: .* several classes'),
        ('a.png 0\n\nb.png 1\n', r'line 2: .* is no file name and label'),
        ('a.png\n', r'line 1: .* is no file name and label'),
        ('a.png 0\na.png 1\n', r'line 2: .* in the list already'),
        ('a.png 0\nc.png 1\n', r'1 of 2 images are not on disk \(.*c\.png\)'),
        ('a.png 1\nb.png 1\n', r'all 2 images are of one class'),
        ('\n\n', 'the list is empty'),
        (None, 'cannot be read'),
        ('a.png ' + '9' * 5000 + '\n', 'no class of the config'),
    ],
)
def test_faults_are_named(root: Path, text: str | None, message: str):
    with pytest.raises(AnnotationError, match=message):
        dataset(root, text)


@pytest.mark.parametrize('names', ['malignant\nbenign\n', 'benign\n', 'benign\nmalignant\nnormal\n'])
def test_other_classes_beside_the_list_are_refused(root: Path, names: str):
    (root / 'classes.txt').write_text('benign\nmalignant\n')
    assert len(dataset(root, 'a.png 0\nb.png 1\n')) == 2
    (root / 'classes.txt').write_text(names)
    with pytest.raises(AnnotationError, match=r'classes\.txt: the data have the classes .* the config has'):
        dataset(root, 'a.png 0\nb.png 1\n')


def test_a_test_list_may_be_of_one_class(root: Path):
    assert len(dataset(root, 'a.png 1\n', test_mode=True)) == 1


@pytest.mark.parametrize('options', [{'metainfo': None}, {'metainfo': {}}, {'ann_file': ''}])
def test_classes_and_list_are_needed(root: Path, options: dict):
    with pytest.raises(ConfigError, match='needs ann_file'):
        dataset(root, 'a.png 0\nb.png 1\n', **options)


def test_batches_go_on_where_they_stopped():
    whole = list(ResumableBatchSampler(SequentialSampler(range(10)), 3))
    later = ResumableBatchSampler(SequentialSampler(range(10)), 3)
    later.first_batch = 2
    assert list(later) == whole[2:] == [[6, 7, 8], [9]]
