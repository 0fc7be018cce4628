"""Files of patients joined into one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.tools.tiny import coco, read, write_json
from ultrasam.corpus.join_parts import join_folder
from ultrasam.errors import AnnotationError, InputError


def parts(folder: Path, *contents: dict) -> Path:
    for number, content in enumerate(contents):
        write_json(folder / 'annotations' / f'{folder.name}__P{number}__coco.json', content)
    return folder


def two(folder: Path) -> Path:
    return parts(folder, coco({'a': [1, 2]}), coco({'b': [1]}, first_image=7))


@pytest.mark.parametrize('level', ['.', 'D', 'D/annotations'])
def test_joins_from_any_level(level: str, tmp_path: Path) -> None:
    two(tmp_path / 'D')
    (report,) = join_folder(tmp_path / level)
    content = read(tmp_path / 'D/annotations/D__coco.json')
    assert (report.images, report.annotations, len(report.joined)) == (3, 3, 2)
    assert [image['id'] for image in content['images']] == [0, 1, 2]
    assert [image['file_name'] for image in content['images']] == ['00000.png', '00001.png', '00007.png']
    assert [(one['id'], one['image_id'], one['category_id']) for one in content['annotations']] == [
        (1, 0, 1),
        (2, 1, 2),
        (3, 2, 1),
    ]


def test_again_and_after_a_split_nothing_is_doubled(tmp_path: Path) -> None:
    folder = two(tmp_path / 'D')
    join_folder(folder)
    before = (folder / 'annotations/D__coco.json').read_bytes()
    write_json(folder / 'annotations/train.D__coco.json', coco({'a': [1]}))
    (report,) = join_folder(folder)
    assert report.passed_over == ['train.D__coco.json']
    assert (folder / 'annotations/D__coco.json').read_bytes() == before


def test_one_file_already(tmp_path: Path) -> None:
    write_json(tmp_path / 'D/annotations/D__coco.json', coco({'a': [1]}))
    (report,) = join_folder(tmp_path)
    assert report.joined == []


def test_categories_are_joined_by_name(tmp_path: Path) -> None:
    first = coco({'a': [1]})
    second = coco({'b': [1]}, first_image=5)
    second['categories'] = [{'id': 1, 'name': 'other', 'supercategory': 'lesion'}]
    (report,) = join_folder(parts(tmp_path / 'D', first, second))
    content = read(report.path)
    assert [(one['id'], one['name']) for one in content['categories']] == [(1, 'kind1'), (2, 'other')]
    assert [one['category_id'] for one in content['annotations']] == [1, 2]
    assert "category 'other' has the id 2, not 1" in report.notes[0]


def test_categories_that_contradict(tmp_path: Path) -> None:
    second = coco({'b': [1]}, first_image=5)
    second['categories'][0]['supercategory'] = 'organ'
    with pytest.raises(AnnotationError, match='give it the same everywhere'):
        join_folder(parts(tmp_path / 'D', coco({'a': [1]}), second))


def test_same_image_in_two_files(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"both have the image '00000\.png'"):
        join_folder(parts(tmp_path / 'D', coco({'a': [1]}), coco({'b': [1]})))


def test_file_of_no_known_name(tmp_path: Path) -> None:
    write_json(two(tmp_path / 'D') / 'annotations/notes.json', {})
    with pytest.raises(AnnotationError, match=r'notes\.json'):
        join_folder(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no folder of annotations'):
        join_folder(tmp_path)
    (tmp_path / 'D/annotations').mkdir(parents=True)
    with pytest.raises(InputError, match='to join'):
        join_folder(tmp_path)
