"""COCO files of a converted data set: written from records, and checked when they are read back."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasam.coco.files import read_coco
from ultrasam.corpus.errors import IntegrityError
from ultrasam.corpus.facts import KEY, DatasetFacts
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.errors import AnnotationError
from ultrasam.masks.mask_checks import MaskChecks


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


def build_coco(
    spec: DatasetSpec, records: Sequence[dict[str, Any]], *, without: Collection[str] = ()
) -> dict[str, Any]:
    """The COCO content of one part.

    Args:
        spec: the description.
        records: with file names.
        without: categories that are not written.

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
            'spacing_mm': [record['spacing_mm']] * 2 if 'spacing_mm' in record else None,
            'attributes': _attributes(record.get('noted', {})),
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
            KEY: DatasetFacts.of_spec(spec).as_dict(),
        },
        'licenses': [{'id': 1, 'name': spec.licence or 'not stated', 'url': spec.homepage}],
        'categories': [
            {'id': number, 'name': category.name, 'supercategory': category.supercategory}
            for number, category in enumerate(spec.categories, start=1)
            if category.name not in without
        ],
        'images': images,
        'annotations': annotations,
    }


def _attributes(noted: Mapping[str, str]) -> dict[str, Any] | None:
    """Further facts of an image, numbers as such; None where there are none."""
    found: dict[str, Any] = {}
    for name, text in noted.items():
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = text
    return {name: value for name, value in found.items() if value != ''} or None


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
    try:
        content = read_coco(path, allow_empty=True)
    except AnnotationError as error:
        raise IntegrityError(f'{error}. Convert the data set again') from error
    faults = [f'{note}, not as we write them' for note in content.notes]
    sizes = {image['id']: (image['height'], image['width']) for image in content.images}
    faults += [
        f'{path}: image {image["file_name"]!r} is missing'
        for image in content.images
        if not (images / Path(image['file_name']).name).is_file()
    ]
    checks = MaskChecks(sizes, set())
    found = itertools.chain(*map(checks.add, content.annotations), checks.finish())
    faults += [f'{path}: annotation {id_}: {fault}' for id_, fault in found]
    if faults:
        raise IntegrityError(faults[0])
    subjects = {image['subject'] for image in content.images}
    return {'images': len(sizes), 'annotations': len(content.annotations), 'subjects': len(subjects)}
