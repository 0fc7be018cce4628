"""Files for training without what public benchmarks test with, and those without an organ."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.tools.tiny import coco, read, write_dataset, write_json
from tests.packaging.test_project_files import ROOT, load_by_path
from ultrasam.corpus.build import build_corpus
from ultrasam.corpus.clean_pool import clean_path, read_test_list, write_clean_pool
from ultrasam.corpus.held_out import held_out_path, write_every_held_out
from ultrasam.corpus.layout import DatasetFolder
from ultrasam.corpus.manifest import MANIFEST
from ultrasam.errors import AnnotationError, ConfigError, InputError, OutputError

PATIENTS = {f'p{number}': [1] for number in range(6)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """AUL and BUSI without a test part; TN3K with one, whose patient is in training too; CAMUS unconcerned."""
    for dataset in ('AUL', 'BUSI', 'CAMUS'):
        write_dataset(tmp_path, dataset, coco(PATIENTS))
    write_dataset(tmp_path, 'TN3K', coco(PATIENTS), coco({'p1': [1], 't': [1]}, first_image=90))
    build_corpus(tmp_path)
    return tmp_path


def kept(root: Path, part: str = 'train') -> dict[str, set[str]]:
    """Subjects of each data set in a clean file."""
    found: dict[str, set[str]] = {}
    for image in read(clean_path(root, part))['images']:
        found.setdefault(image['dataset'], set()).add(image['subject'])
    return found


def train_subjects(root: Path, dataset: str) -> set[str]:
    return {
        image['subject']
        for image in read(root / dataset / f'annotations/train.{dataset}__coco.json')['images']
    }


def test_without_lists(root: Path):
    pool = write_clean_pool(root)
    assert set(pool.left_out) == {'AUL', 'BUSI'}
    assert all('no list was given' in reason for reason in pool.left_out.values())
    assert kept(root) == {
        'CAMUS': train_subjects(root, 'CAMUS'),
        'TN3K': train_subjects(root, 'TN3K') - {'p1'},
    }
    content = read(pool.path)
    assert content['info']['clean_pool'] == {
        'of': 'train.agnostic.noSmall.coco.json',
        'left_out': pool.left_out,
        'dropped': {name: dict(counts) for name, counts in pool.dropped.items()},
    }
    assert (pool.images, pool.annotations) == (len(content['images']), len(content['annotations']))
    assert {one['image_id'] for one in content['annotations']} == {one['id'] for one in content['images']}
    assert content['categories'] == read(root / 'train.agnostic.noSmall.coco.json')['categories']


def test_with_a_list(root: Path, tmp_path_factory: pytest.TempPathFactory):
    lists = tmp_path_factory.mktemp('lists')
    write_json(lists / 'AUL.json', ['p0', 'p3'])
    pool = write_clean_pool(root, lists=lists)
    assert set(pool.left_out) == {'BUSI'}
    assert kept(root)['AUL'] == train_subjects(root, 'AUL') - {'p0', 'p3'}
    assert sum(pool.dropped['AUL'].values()) == len(train_subjects(root, 'AUL') & {'p0', 'p3'})


def test_same_image_in_another_data_set_leaves(tmp_path: Path):
    for dataset in ('BUSI', 'CAMUS'):
        write_dataset(tmp_path, dataset, coco(PATIENTS))
    build_corpus(tmp_path)
    name = read(tmp_path / 'CAMUS/annotations/train.CAMUS__coco.json')['images'][0]['file_name']
    write_json(tmp_path / 'BUSI' / MANIFEST, {'files': {'images/00000.png': 'same'}})
    write_json(tmp_path / 'CAMUS' / MANIFEST, {'files': {f'images/{name}': 'same'}})
    pool = write_clean_pool(tmp_path)
    assert pool.dropped == {'CAMUS': {'same image as a tested one': 1}}
    assert f'CAMUS/images/{name}' not in {image['file_name'] for image in read(pool.path)['images']}


@pytest.mark.parametrize(
    ('content', 'count'),
    [
        (['Benign_2'], 1),
        ({'test': ['Benign_2', 'Malignant_2']}, 2),
        ([{'image': 'images/Benign_2.jpg', 'label': 1}], 1),
        (['Benign/image/2.jpg'], 1),
        (['00001.png'], 1),
    ],
    ids=['subject', 'split file', 'records', 'source file', 'file name'],
)
def test_forms_of_a_list(tmp_path: Path, content: object, count: int):
    folder = numbered(tmp_path)
    write_json(tmp_path / 'list.json', content)
    assert len(read_test_list(tmp_path / 'list.json', folder)) == count


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'is empty'),
        ({'train': ['Benign_2']}, 'damaged'),
        ([{'file': 'x'}], 'damaged'),
        (7, 'damaged'),
        (['Benign_9'], '1 of 1 entries name no image'),
        (['2.jpg'], 'or several'),
    ],
    ids=['empty', 'no test', 'no image', 'a number', 'unknown', 'ambiguous'],
)
def test_lists_that_cannot_be_used(tmp_path: Path, content: object, message: str):
    write_json(tmp_path / 'list.json', content)
    with pytest.raises(AnnotationError, match=message):
        read_test_list(tmp_path / 'list.json', numbered(tmp_path))


def numbered(root: Path) -> DatasetFolder:
    """A data set whose file numbers start again in each class."""
    content = coco({'Benign_1': [1], 'Benign_2': [1], 'Malignant_2': [1]})
    for image in content['images']:
        kind, number = image['subject'].split('_')
        image['source_file'] = f'{kind}/image/{number}.jpg'
    return DatasetFolder('AUL', write_dataset(root, 'AUL', content))


def test_what_cannot_be_made(tmp_path: Path, root: Path):
    with pytest.raises(ConfigError, match='no such folder'):
        write_clean_pool(root, lists=tmp_path / 'absent')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ConfigError, match='no list for any data set'):
        write_clean_pool(root, lists=tmp_path / 'empty')
    write_json(clean_path(root, 'train'), {})
    with pytest.raises(OutputError, match='--overwrite'):
        write_clean_pool(root)
    write_clean_pool(root, overwrite=True)
    (root / 'val.agnostic.noSmall.coco.json').unlink()
    with pytest.raises(InputError, match='build_corpus'):
        write_clean_pool(root, 'val')


def test_only_benchmarks_leave_nothing(tmp_path: Path):
    write_dataset(tmp_path, 'BUSI', coco(PATIENTS))
    build_corpus(tmp_path)
    with pytest.raises(InputError, match='nothing of it is left'):
        write_clean_pool(tmp_path)
    assert not clean_path(tmp_path, 'train').exists()


def test_command(root: Path, capsys: pytest.CaptureFixture[str]):
    command = load_by_path(ROOT / 'datasets/tools/clean_pool.py')
    assert command.main([str(root)]) == 0
    said = capsys.readouterr().out
    assert 'left out: BUSI: any of its images may be tested with' in said
    assert all(clean_path(root, part).is_file() for part in ('train', 'val'))
    assert command.main([str(root), '--test-lists', str(root / 'absent')]) == 2


def test_held_out_files_for_training_and_for_validation(tmp_path: Path):
    for dataset in ('BUSBRA', 'BUSI', 'MMOTU_2d', 'CAMUS'):
        write_dataset(tmp_path, dataset, coco(PATIENTS))
    build_corpus(tmp_path)
    reports, not_made = write_every_held_out(tmp_path)
    assert [report.path.name for report in reports] == [
        f'{part}.noStructure.{name}.json' for name in ('BUSBRA', 'MMOTU_2d') for part in ('train', 'val')
    ]
    for part in ('train', 'val'):
        content = read(held_out_path(tmp_path, 'BUSBRA', part))
        assert {image['dataset'] for image in content['images']} == {'MMOTU_2d', 'CAMUS'}
        assert content['info']['left_out'] == {'BUSBRA': 'breast', 'BUSI': 'breast'}
    assert not_made == [
        f'{part}.noStructure.GIST514-DB.json: GIST514-DB is not here' for part in ('train', 'val')
    ]


def test_no_organ_but_the_one(tmp_path: Path):
    write_dataset(tmp_path, 'MMOTU_2d', coco(PATIENTS))
    for number, name in enumerate(('split_coco', 'create_agnostic_coco')):
        command = load_by_path(ROOT / f'datasets/tools/{name}.py')
        for part in ('train', 'val') if number else ('',):
            assert command.main([str(tmp_path), *(['--mode', part] if part else [])]) == 0
    reports, not_made = write_every_held_out(tmp_path)
    assert reports == []
    assert sum('to merge' in text for text in not_made) == 2
