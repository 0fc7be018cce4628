"""COCO files of a converted data set: written from records, and checked when they are read back."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultrasam.corpus.errors import IntegrityError
from ultrasam.corpus.spec import DatasetSpec

_COUNTS = re.compile(r'[0-o]+')
_MOST_PIXELS = 1 << 26
_SECTIONS = ('images', 'annotations', 'categories')


def number_frames(spec: DatasetSpec, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each record its published file name: ``[test.]NAME[__SERIES]__NUMBER.png``.

    Args:
        spec: the description.
        records: of all frames, in the order of the items.

    Returns:
        Copies with ``file_name``; numbers start from 0 in each part and series.
    """
    counts: dict[str, int] = {}
    named = []
    for record in records:
        part = 'test.' if record['part'] == 'test' else ''
        series = f'__{record["series"]}' if record['series'] else ''
        stem = f'{part}{spec.name}{series}'
        number = counts.get(stem, 0)
        counts[stem] = number + 1
        named.append({**record, 'file_name': f'{stem}__{number:05d}.png'})
    return named


def build_coco(spec: DatasetSpec, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The COCO content of one part.

    Args:
        spec: the description.
        records: with file names.

    Returns:
        Images have ids from 0, annotations from 1, categories from 1. Each image states its subject, source
        file, frame, official split and label, as far as there are any.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, record in enumerate(records):
        image = {
            'id': image_id,
            'file_name': record['file_name'],
            'height': record['height'],
            'width': record['width'],
            'subject': record['subject'],
            'source_file': record['source'],
        }
        extras = {
            'frame': record['index'],
            'official_split': record['part'] or None,
            'label': record['label'] or None,
        }
        images.append({**image, **{key: value for key, value in extras.items() if value is not None}})
        for found in record['objects']:
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image_id,
                    'category_id': found['category_id'],
                    'iscrowd': 0,
                    'area': found['area'],
                    'bbox': found['bbox'],
                    'segmentation': {'size': [record['height'], record['width']], 'counts': found['counts']},
                }
            )
    return {
        'info': {
            'description': spec.name,
            'title': spec.title,
            'url': spec.homepage,
            'citation': spec.citation,
        },
        'licenses': [{'id': 1, 'name': spec.licence or 'not stated', 'url': spec.homepage}],
        'categories': [
            {'id': number, 'name': category.name, 'supercategory': category.supercategory}
            for number, category in enumerate(spec.categories, start=1)
        ],
        'images': images,
        'annotations': annotations,
    }


def coco_text(content: dict[str, Any]) -> str:
    """JSON with one image or annotation a line, the same for the same content."""
    parts = []
    for key, value in content.items():
        if key in ('images', 'annotations') and value:
            lines = ',\n'.join(json.dumps(entry, ensure_ascii=False) for entry in value)
            parts.append(f'{json.dumps(key)}: [\n{lines}\n]')
        else:
            parts.append(f'{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}')
    return '{\n' + ',\n'.join(parts) + '\n}\n'


def check_coco(path: Path, images: Path) -> dict[str, int]:
    """Read a COCO file of ours back and see that it and its images agree.

    Args:
        path: the file.
        images: folder of the images.

    Returns:
        Number of images, annotations and subjects.

    Raises:
        IntegrityError: it is damaged, ids are not unique, a mask is not of its image, or an image is missing.
    """
    from pycocotools import mask as coco_mask

    content = _sections(path)
    sizes = {}
    for image in content['images']:
        if image['id'] in sizes or not (images / Path(image['file_name']).name).is_file():
            raise IntegrityError(f'{path}: image {image["file_name"]!r} is missing, or its id is not unique')
        sizes[image['id']] = [image['height'], image['width']]
    categories = {category['id'] for category in content['categories']}
    seen: set[int] = set()
    for annotation in content['annotations']:
        rle = annotation['segmentation']
        fault = _rle_fault(rle, sizes.get(annotation['image_id']))
        if not fault and annotation['id'] in seen:
            fault = 'an id that is not unique'
        if not fault and annotation['category_id'] not in categories:
            fault = 'an unknown category'
        if not fault and int(coco_mask.area(rle)) != annotation['area']:
            fault = 'an area that is not that of its mask'
        if fault:
            raise IntegrityError(f'{path}: annotation {annotation["id"]} has {fault}')
        seen.add(annotation['id'])
    subjects = {image['subject'] for image in content['images']}
    return {'images': len(sizes), 'annotations': len(seen), 'subjects': len(subjects)}


def _sections(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        return {section: content[section] for section in _SECTIONS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f'{path}: damaged ({error}). Convert the data set again') from error


def _rle_fault(rle: Any, size_hw: list[int] | None) -> str:
    """Why a run-length code must not be decoded, or nothing; looked at before the C code sees it."""
    if size_hw is None or rle['size'] != size_hw:
        return f'a mask of size {rle["size"]} where its image has {size_hw}'
    height, width = size_hw
    if height * width > _MOST_PIXELS or not _COUNTS.fullmatch(rle['counts']):
        return 'a mask that is too large, or run lengths that are none'
    return (
        '' if sum(_run_lengths(rle['counts'])) == height * width else 'run lengths that do not fill its image'
    )


def _run_lengths(text: str) -> list[int]:
    """Run lengths of compressed COCO counts: five bits a letter, differences from the last but one."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs if shift == 0 and all(run >= 0 for run in runs) else []
