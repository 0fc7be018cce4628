"""Class-agnostic views, small objects, merged files, and those without an organ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.test_sweep import DESCRIPTIONS
from tests.corpus.tools.tiny import coco, read, square, write_dataset, write_json
from ultrasam.corpus.agnostic import write_agnostic
from ultrasam.corpus.build import build_corpus
from ultrasam.corpus.facts import KEY, DatasetFacts, described, facts_of
from ultrasam.corpus.held_out import left_out_for, write_held_out
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.merge import merge_agnostic, merged_path
from ultrasam.corpus.small_objects import SmallObjects
from ultrasam.corpus.splits import split_corpus
from ultrasam.errors import AnnotationError, ConfigError, InputError, OutputError

SOME = {f'p{number}': [1 + number % 2] for number in range(20)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_dataset(tmp_path, 'B', coco(SOME), coco({'t': [1, 2]}, first_image=90))
    write_dataset(tmp_path, 'A', coco(SOME))
    split_corpus(tmp_path)
    return tmp_path


def test_view_lies_beside_and_leaves_the_rest(root: Path) -> None:
    source = root / 'A/annotations/train.A__coco.json'
    before = source.read_bytes()
    _, views = write_agnostic(root, 'train')
    assert source.read_bytes() == before
    assert [view.path.name for view in views] == [
        'train.agnostic.A__coco.json',
        'train.agnostic.B__coco.json',
    ]
    content, original = read(views[0].path), read(source)
    assert content['categories'] == [{'id': 1, 'name': 'object', 'supercategory': 'none'}]
    assert content['images'] == original['images']
    assert content['annotations'] == [{**one, 'category_id': 1} for one in original['annotations']]


def test_view_of_one_data_set(root: Path) -> None:
    assert len(write_agnostic(root / 'B', 'test')[1]) == 1
    with pytest.raises(InputError, match='official test part'):
        write_agnostic(root / 'A', 'test')


def test_no_split_yet(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'A', coco(SOME))
    with pytest.raises(InputError, match=r'run split_coco\.py first'):
        write_agnostic(tmp_path, 'train')
    with pytest.raises(ConfigError, match='train, val, test'):
        write_agnostic(tmp_path, 'training')


def test_view_without_its_source_is_no_longer_used(root: Path) -> None:
    write_agnostic(root, 'val')
    (root / 'A/annotations/val.A__coco.json').unlink()
    with pytest.raises(AnnotationError, match=r'val\.A__coco\.json is not'):
        merge_agnostic(root, root / 'm.json', 'val')
    with pytest.raises(OutputError, match='any more'):
        write_agnostic(root, 'val')
    write_agnostic(root, 'val', overwrite=True)
    assert not (root / 'A/annotations/val.agnostic.A__coco.json').exists()


def test_merge_before_the_views_are_there(root: Path) -> None:
    with pytest.raises(AnnotationError, match='create_agnostic_coco'):
        merge_agnostic(root, root / 'm.json', 'train')
    assert not (root / 'm.json').exists()


def test_merged_file(root: Path) -> None:
    write_agnostic(root, 'train')
    report = merge_agnostic(root, merged_path(root, 'train'), 'train')
    content = read(root / 'train.agnostic.noSmall.coco.json')
    sources = [read(root / f'{name}/annotations/train.{name}__coco.json') for name in 'AB']
    names = [
        f'{name}/images/{image["file_name"]}'
        for name, source in zip('AB', sources, strict=True)
        for image in source['images']
    ]
    assert [image['file_name'] for image in content['images']] == names
    assert [image['id'] for image in content['images']] == list(range(len(names)))
    assert [one['id'] for one in content['annotations']] == list(range(1, len(names) + 1))
    assert all((root / name).is_file() for name in names)
    by_id = {image['id']: image['file_name'] for image in content['images']}
    masks = {by_id[one['image_id']]: one['segmentation'] for one in content['annotations']}
    for name, source in zip('AB', sources, strict=True):
        own = {image['id']: image['file_name'] for image in source['images']}
        for one in source['annotations']:
            assert masks[f'{name}/images/{own[one["image_id"]]}'] == one['segmentation']
    assert (report.total('images'), report.total('small'), report.without) == (len(names), 0, [])


def test_test_part_of_some(root: Path) -> None:
    write_agnostic(root, 'test')
    report = merge_agnostic(root, root / 'm.json', 'test')
    assert (report.total('images'), report.without) == (2, ['A'])


def test_small_objects_are_dropped_and_counted(tmp_path: Path) -> None:
    value = coco({'a': [1, 1], 'b': [1]})
    value['annotations'][0].update(square(2))
    write_dataset(tmp_path, 'A', value)
    split_corpus(tmp_path)
    write_agnostic(tmp_path, 'train')
    write_agnostic(tmp_path, 'val')
    reports = [merge_agnostic(tmp_path, tmp_path / f'{part}.json', part) for part in ('train', 'val')]
    assert sum(report.total('small') for report in reports) == 1
    assert sum(report.total('emptied') for report in reports) == 1
    assert sum(report.total('images') for report in reports) == 3
    assert read(tmp_path / 'train.json')['info']['small_objects'] == {
        'min_pixels': 9,
        'min_model_pixels': 64,
    }
    keep = merge_agnostic(tmp_path, tmp_path / 'all.json', 'train', rule=SmallObjects(0, 0))
    assert keep.total('small') == 0


@pytest.mark.parametrize(
    ('area', 'size', 'is_small'),
    [
        (8, (100, 100), True),
        (9, (100, 100), False),
        (9, (1024, 800), True),
        (63, (1024, 800), True),
        (64, (1024, 800), False),
        (255, (2048, 100), True),
        (256, (100, 2048), False),
    ],
)
def test_rule_on_small_objects(area: int, size: tuple[int, int], is_small: bool) -> None:
    assert SmallObjects().is_small(area, *size) is is_small


def test_rule_must_make_sense() -> None:
    with pytest.raises(ConfigError, match='zero or more'):
        SmallObjects(min_pixels=-1)


def test_facts_of_all_descriptions_are_known() -> None:
    names = {load_spec(path).name for path in DESCRIPTIONS.values()}
    assert set(described()) == names
    assert all(facts_of(name).organs and facts_of(name).release in names for name in names)
    assert facts_of('MUP').release == facts_of('MicroSeg').release == 'MicroSeg'
    assert facts_of('mine') == DatasetFacts('mine')
    assert {name for name in names if facts_of(name).held_out} == {'BUSBRA', 'MMOTU_2d', 'GIST514-DB'}


def test_facts_are_those_that_a_file_states_whatever_its_name(tmp_path: Path) -> None:
    stated = DatasetFacts('BUSI', ('breast',), public_test=True, held_out=True)
    assert facts_of('mine', {KEY: stated.as_dict()}) == stated
    for name, facts in {'mine': stated, 'CAMUS': None}.items():
        folder = write_dataset(tmp_path, name, coco(SOME))
        if facts is not None:
            (folder / 'manifest.json').write_text(json.dumps({'files': {}, KEY: facts.as_dict()}))
    report = build_corpus(tmp_path)
    content = read(tmp_path / 'train.noStructure.mine.json')
    assert content['info']['left_out'] == {'mine': 'breast'}
    assert content['info'][KEY] == {'CAMUS': facts_of('CAMUS').as_dict()}
    assert 'train.noStructure.mine.json' not in ' '.join(report.not_made)


def test_what_is_left_out_for_breast() -> None:
    known = {name: facts_of(name) for name in ('BUSI', 'BUSBRA', 'CAMUS', 'mine', 'S1')}
    left_out = left_out_for('BUSBRA', known)
    assert left_out == {'BUSI': 'breast', 'BUSBRA': 'breast', 'mine': 'organ not known', 'S1': 'breast'}
    with pytest.raises(ConfigError, match='not known'):
        left_out_for('mine', {})


def test_held_out_file_lists_what_it_lacks(tmp_path: Path) -> None:
    for name in ('BUSI', 'MMOTU_2d', 'CAMUS'):
        write_dataset(tmp_path, name, coco(SOME))
    report = build_corpus(tmp_path)
    content = read(tmp_path / 'train.noStructure.MMOTU_2d.json')
    assert {image['dataset'] for image in content['images']} == {'BUSI', 'CAMUS'}
    assert content['info']['left_out'] == {'MMOTU_2d': 'ovary'}
    assert report.not_made == [
        'test.agnostic.noSmall.coco.json: no data set has this part',
        'train.noStructure.BUSBRA.json: BUSBRA is not here',
        'val.noStructure.BUSBRA.json: BUSBRA is not here',
        'train.noStructure.GIST514-DB.json: GIST514-DB is not here',
        'val.noStructure.GIST514-DB.json: GIST514-DB is not here',
    ]


def test_nothing_is_left(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'MMOTU_2d', coco(SOME))
    split_corpus(tmp_path)
    write_agnostic(tmp_path, 'train')
    with pytest.raises(InputError, match='to merge'):
        write_held_out(tmp_path, 'MMOTU_2d')


def test_unique_names_only(root: Path) -> None:
    path = root / 'A/annotations/train.A__coco.json'
    write_agnostic(root, 'train')
    broken = read(path.with_name('train.agnostic.A__coco.json'))
    broken['images'][1]['file_name'] = broken['images'][0]['file_name']
    write_json(path.with_name('train.agnostic.A__coco.json'), broken)
    with pytest.raises(AnnotationError, match='share the file_name'):
        merge_agnostic(root, root / 'm.json', 'train')
    assert not (root / 'm.json').exists()
