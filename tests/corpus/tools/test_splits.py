"""Splits of small data sets: subjects, official test parts, shared images and patients, split files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.tools.tiny import coco, read, subjects_in, write_dataset, write_json
from ultrasam.corpus.splits import DatasetSplit, SplitOptions, split_corpus
from ultrasam.errors import AnnotationError, ConfigError, InputError, OutputError

MANY = {f'p{number}': [1] * (1 + number % 4) for number in range(60)}


def part(root: Path, name: str, which: str) -> Path:
    return root / name / 'annotations' / f'{which}.{name}__coco.json'


def split(root: Path, **options) -> dict[str, DatasetSplit]:
    return {one.dataset: one for one in split_corpus(root, SplitOptions(**options))[1]}


def manifest(folder: Path, **more) -> None:
    write_json(folder / 'manifest.json', {'files': {}, **more})


def test_subjects_are_never_parted_and_nothing_is_lost(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco(MANY))
    done = split(tmp_path)['D']
    train, val = subjects_in(part(tmp_path, 'D', 'train')), subjects_in(part(tmp_path, 'D', 'val'))
    assert train | val == set(MANY)
    assert not train & val
    assert done.images['train'] + done.images['val'] == 150
    assert done.images['val'] == 8
    assert (done.unit, done.one_sided) == ('subject', [])
    for which in ('train', 'val'):
        content = read(part(tmp_path, 'D', which))
        images = {image['id'] for image in content['images']}
        assert {one['image_id'] for one in content['annotations']} == images
        assert content['categories'] == coco(MANY)['categories']


def test_another_seed_and_share(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco(MANY))
    split(tmp_path)
    first = subjects_in(part(tmp_path, 'D', 'val'))
    split(tmp_path, seed=1, overwrite=True)
    assert subjects_in(part(tmp_path, 'D', 'val')) != first
    assert split(tmp_path, train_percent=0.6, overwrite=True)['D'].images['val'] == 60


@pytest.mark.parametrize('share', [0, 1, 95, -0.1])
def test_share_must_be_one(share: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='between 0 and 1'):
        split(tmp_path, train_percent=share)


def test_official_test_part_is_not_touched(tmp_path: Path) -> None:
    test = coco({'t': [1, 1]}, first_image=900)
    write_dataset(tmp_path, 'D', coco(MANY), test)
    before = part(tmp_path, 'D', 'test').read_bytes()
    done = split(tmp_path)['D']
    assert part(tmp_path, 'D', 'test').read_bytes() == before
    assert 't' not in subjects_in(part(tmp_path, 'D', 'train')) | subjects_in(part(tmp_path, 'D', 'val'))
    assert (done.images['test'], done.subjects['test'], done.also_tested) == (2, 1, 0)


def test_no_patient_known_is_said(tmp_path: Path) -> None:
    value = coco({'x': [1] * 30})
    for number, image in enumerate(value['images']):
        image['subject'] = image['source_file'] = f'{number // 2}.mp4'
    write_dataset(tmp_path, 'D', value)
    assert split(tmp_path)['D'].unit == 'source file'
    frames = subjects_in(part(tmp_path, 'D', 'train')) & subjects_in(part(tmp_path, 'D', 'val'))
    assert not frames, 'frames of a video were parted'


def test_images_without_any_subject_count_alone(tmp_path: Path) -> None:
    value = coco({'x': [1] * 40})
    for image in value['images']:
        del image['subject']
    write_dataset(tmp_path, 'D', value)
    done = split(tmp_path)['D']
    assert (done.unit, done.images['val'], done.subjects['val']) == ('source file', 2, 2)


def test_category_of_one_subject_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco({**MANY, 'rare': [2], 'a': [3], 'b': [3]}))
    assert split(tmp_path)['D'].one_sided == ['kind2']
    assert 'rare' in subjects_in(part(tmp_path, 'D', 'train'))


def test_one_subject_only(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco({'a': [1, 1]}))
    assert split(tmp_path)['D'].one_sided == ['kind1']
    assert not part(tmp_path, 'D', 'val').exists()


def test_two_data_sets_of_one_release_agree(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'MUP', coco(MANY))
    write_dataset(tmp_path, 'MicroSeg', coco({name: [1] for name in MANY}))
    split(tmp_path)
    assert subjects_in(part(tmp_path, 'MUP', 'val')) == subjects_in(part(tmp_path, 'MicroSeg', 'val'))
    assert subjects_in(part(tmp_path, 'MUP', 'val'))


@pytest.mark.parametrize('first', ['MUP', 'MicroSeg'])
def test_a_test_image_in_one_data_set_drops_its_subject_from_the_whole_release(
    first: str, tmp_path: Path
) -> None:
    # p1 has an image that is tested in MUP alone, or in MicroSeg alone
    for name in ('MUP', 'MicroSeg'):
        test = coco({'t': [1]}, first_image=900)
        folder = write_dataset(tmp_path, name, coco({f'p{number}': [1] for number in range(20)}), test)
        shared = {'00001.png': 'same', '00900.png': 'same'} if name == first else {'00001.png': 'other'}
        with_digests(folder, shared)
    done = split(tmp_path, drop_tested=True)
    for name in ('MUP', 'MicroSeg'):
        kept = subjects_in(part(tmp_path, name, 'train')) | subjects_in(part(tmp_path, name, 'val'))
        assert kept == {f'p{number}' for number in range(20)} - {'p1'}, name
        assert done[name].dropped == 1


def with_digests(folder: Path, digests: dict[str, str]) -> None:
    manifest(folder, files={f'images/{name}': digest for name, digest in digests.items()})


def test_subjects_that_share_an_image_stay_together(tmp_path: Path) -> None:
    ones = {f'p{number}': [1] for number in range(40)}
    for name in ('A', 'B'):
        folder = write_dataset(tmp_path, name, coco(ones))
        # the n-th image of one is the n-th of the other
        with_digests(folder, {f'{number:05d}.png': f'sha{number}' for number in range(40)})
    split(tmp_path)
    assert subjects_in(part(tmp_path, 'A', 'val')) == subjects_in(part(tmp_path, 'B', 'val'))
    assert len(subjects_in(part(tmp_path, 'A', 'val'))) == 2


@pytest.mark.parametrize('drop', [False, True])
def test_images_of_a_test_part_elsewhere(drop: bool, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, 'A', coco({'a': [1], 'b': [1], 'c': [1]}))
    with_digests(folder, {'00000.png': 'same'})
    other = write_dataset(
        tmp_path, 'B', coco({'x': [1], 'y': [1]}), coco({'t': [1], 'x': [1]}, first_image=5)
    )
    with_digests(other, {'00005.png': 'same'})
    done = split(tmp_path, drop_tested=drop)
    assert (done['A'].also_tested, done['B'].also_tested) == (1, 1)
    assert (done['A'].dropped, done['B'].dropped) == ((1, 1) if drop else (0, 0))
    kept = subjects_in(part(tmp_path, 'A', 'train')) | subjects_in(part(tmp_path, 'A', 'val'))
    assert kept == ({'b', 'c'} if drop else {'a', 'b', 'c'})


def test_split_files_are_followed_and_can_be_kept(tmp_path: Path) -> None:
    root, kept = tmp_path / 'data', tmp_path / 'kept'
    write_dataset(root, 'D', coco(MANY))
    write_dataset(root, 'E', coco(MANY))
    split(root, seed=3, written=kept)
    wanted = subjects_in(part(root, 'D', 'val'))
    assert set(json.loads((kept / 'D.json').read_text())['val']) == wanted
    (kept / 'E.json').unlink()
    done = split(root, seed=8, given=kept, overwrite=True)
    assert (done['D'].given, done['E'].given) == (True, False)
    assert subjects_in(part(root, 'D', 'val')) == wanted


def test_split_file_of_validation_alone(tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data', 'D', coco(MANY))
    write_json(tmp_path / 'given' / 'D.json', {'val': ['p7', 'p9']})
    split(tmp_path / 'data', given=tmp_path / 'given')
    assert subjects_in(part(tmp_path / 'data', 'D', 'val')) == {'p7', 'p9'}
    assert len(subjects_in(part(tmp_path / 'data', 'D', 'train'))) == len(MANY) - 2


BAD_FILES = {
    'unknown': ({'val': ['p1', 'nobody']}, "unknown, first 'nobody'"),
    'both': ({'val': ['p1'], 'train': ['p1']}, "both parts, first 'p1'"),
    'incomplete': ({'val': ['p1'], 'train': ['p2']}, 'does not name the subject'),
    'nothing': ({'val': []}, 'names no subject'),
    'list': ([], 'is damaged'),
    'text': ({'val': 'p1'}, 'is damaged'),
}


@pytest.mark.parametrize('name', BAD_FILES)
def test_bad_split_files(name: str, tmp_path: Path) -> None:
    value, message = BAD_FILES[name]
    write_dataset(tmp_path / 'data', 'D', coco(MANY))
    write_json(tmp_path / 'given' / 'D.json', value)
    with pytest.raises(AnnotationError, match=message):
        split(tmp_path / 'data', given=tmp_path / 'given')
    assert not part(tmp_path / 'data', 'D', 'train').exists()


def test_split_file_nested_without_end(tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data', 'D', coco(MANY))
    (tmp_path / 'given').mkdir()
    (tmp_path / 'given/D.json').write_bytes(b'[' * 100_000)
    with pytest.raises(AnnotationError, match=r'D\.json is damaged'):
        split(tmp_path / 'data', given=tmp_path / 'given')


def test_split_files_that_part_one_patient(tmp_path: Path) -> None:
    for name in ('MUP', 'MicroSeg'):
        write_dataset(tmp_path / 'data', name, coco(MANY))
    write_json(tmp_path / 'given' / 'MUP.json', {'val': ['p1']})
    write_json(tmp_path / 'given' / 'MicroSeg.json', {'val': ['p2']})
    with pytest.raises(AnnotationError, match='give both the same part'):
        split(tmp_path / 'data', given=tmp_path / 'given')


def test_folder_without_split_files(tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data', 'D', coco(MANY))
    with pytest.raises(ConfigError, match='no such folder'):
        split(tmp_path / 'data', given=tmp_path / 'given')
    (tmp_path / 'given').mkdir()
    with pytest.raises(ConfigError, match=r'D\.json'):
        split(tmp_path / 'data', given=tmp_path / 'given')


def test_test_part_of_other_categories(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco(MANY), coco({'t': [2]}, first_image=900))
    with pytest.raises(AnnotationError, match='must have the same'):
        split(tmp_path)


def test_all_is_test(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco({}), coco({'t': [1]}))
    assert dict(split(tmp_path)['D'].images) == {'test': 1}
    assert not part(tmp_path, 'D', 'train').exists()


def test_empty_without_test_part(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco({}))
    with pytest.raises(AnnotationError, match='no images'):
        split(tmp_path)


def test_part_that_is_gone_is_removed_when_allowed(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco(MANY))
    split(tmp_path)
    write_json(tmp_path / 'D/annotations/D__coco.json', coco({'a': [1]}))
    with pytest.raises(OutputError, match='--overwrite'):
        split(tmp_path)
    split(tmp_path, overwrite=True)
    assert not part(tmp_path, 'D', 'val').exists()


def test_roots_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no such folder'):
        split(tmp_path / 'none')
    (tmp_path / 'junk').mkdir()
    with pytest.raises(InputError, match='no data set in it'):
        split(tmp_path)


def test_other_folders_are_named(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'D', coco(MANY))
    (tmp_path / 'junk').mkdir()
    (tmp_path / '.hidden').mkdir()
    corpus, _ = split_corpus(tmp_path)
    assert corpus.skipped == ('junk: no data set, it has no annotations/junk__coco.json',)


@pytest.mark.parametrize('text', ['{', '[' * 100_000, '[]', '{"files": {"images/a.png": [1]}}'])
def test_damaged_manifest(text: str, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, 'D', coco(MANY))
    (folder / 'manifest.json').write_text(text)
    with pytest.raises(AnnotationError, match=r'manifest\.json is damaged'):
        split(tmp_path)
