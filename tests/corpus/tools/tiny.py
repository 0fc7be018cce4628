"""Small data sets on disk, written without the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

HW = (24, 32)
CATEGORIES = ({'id': 1, 'name': 'cyst', 'supercategory': 'lesion'},)


def square(side: int, *, top: int = 2, left: int = 3, size_hw: tuple[int, int] = HW) -> dict[str, Any]:
    """The fields of an annotation that follow from its mask, a square."""
    mask = np.zeros(size_hw, np.uint8)
    mask[top : top + side, left : left + side] = 1
    rle = coco_mask.encode(np.asfortranarray(mask))
    return {
        'area': int(coco_mask.area(rle)),
        'bbox': [float(value) for value in coco_mask.toBbox(rle)],
        'segmentation': {'size': list(size_hw), 'counts': rle['counts'].decode()},
    }


def image(number: int, subject: str | None = None, **more: Any) -> dict[str, Any]:
    record = {'id': number, 'file_name': f'{number:05d}.png', 'height': HW[0], 'width': HW[1]}
    return {**record, **({} if subject is None else {'subject': subject}), **more}


def annotation(number: int, image_id: int, category_id: int = 1, *, side: int = 9) -> dict[str, Any]:
    return {
        'id': number,
        'image_id': image_id,
        'category_id': category_id,
        'iscrowd': 0,
        **square(side),
    }


def coco(subjects: Mapping[str, Iterable[int]], *, first_image: int = 0) -> dict[str, Any]:
    """A COCO file: for each subject its images, each given as the category of its one object.

    Example: {'a': [1, 1], 'b': [2]} is two images of subject a, one of subject b.
    """
    images, annotations, categories = [], [], set()
    for subject, ids in subjects.items():
        for category_id in ids:
            number = first_image + len(images)
            images.append(image(number, subject))
            annotations.append(annotation(len(annotations) + 1, number, category_id))
            categories.add(category_id)
    return {
        'info': {'description': 'tiny'},
        'licenses': [],
        'categories': [
            {'id': id_, 'name': f'kind{id_}', 'supercategory': 'lesion'} for id_ in sorted(categories | {1})
        ],
        'images': images,
        'annotations': annotations,
    }


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding='utf-8')


def write_dataset(
    root: Path,
    name: str,
    content: dict[str, Any],
    test: dict[str, Any] | None = None,
    *,
    paint: Callable[[str], int] | None = None,
) -> Path:
    """Write a data set with its images; each differs unless ``paint`` gives two the same number."""
    folder = root / name
    write_json(folder / 'annotations' / f'{name}__coco.json', content)
    if test is not None:
        write_json(folder / 'annotations' / f'test.{name}__coco.json', test)
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    for record in [*content['images'], *(test or {'images': []})['images']]:
        seed = paint(record['file_name']) if paint else [ord(letter) for letter in name + record['file_name']]
        pixels = np.random.default_rng(seed).integers(0, 255, (record['height'], record['width']), np.uint8)
        Image.fromarray(pixels).save(folder / 'images' / record['file_name'])
    return folder


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return content


def subjects_in(path: Path) -> set[str]:
    return {record['subject'] for record in read(path)['images']}
