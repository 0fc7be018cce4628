"""Predictions as test runs and ``ultrasam predict`` write them, sorted by the images of the truth."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from ultrasam.coco.files import CocoContent
from ultrasam.errors import AnnotationError


@dataclass(frozen=True)
class Prediction:
    """One predicted mask.

    Args:
        category: its name.
        score: as the model gave it; None for none.
        segmentation: as it stands in the file.
    """

    category: str
    score: float | None
    segmentation: Any


@dataclass
class Predictions:
    """The predictions of a file.

    Args:
        of_image: by the id of the image in the truth, in the order of the file.
        strays: how many are of no image of the truth.
        low: how many were left out because of their score.
    """

    of_image: dict[int, list[Prediction]] = field(default_factory=dict)
    strays: int = 0
    low: int = 0


def read_predictions(path: Path, truth: CocoContent, *, min_score: float = 0.0) -> Predictions:
    """Read a COCO results file (a list), or a COCO file with scores (images and annotations).

    Images of a results file are known by the ids of the truth; those of a COCO file by their file names, or those
    of their sources, without folders.

    Args:
        path: the file.
        truth: the images that were predicted on.
        min_score: leave out predictions of a lower score.

    Raises:
        AnnotationError: it is damaged, holds no masks, or is of other images than the truth.
    """
    content = _parse(path)
    if isinstance(content, list):
        records, image_of = content, {image['id']: image['id'] for image in truth.images}
        names = {category['id']: category['name'] for category in truth.categories}
    elif isinstance(content, dict):
        records, image_of = _list_of(path, content, 'annotations'), _images_by_name(path, content, truth)
        names = {one.get('id'): str(one.get('name')) for one in _list_of(path, content, 'categories')}
    else:
        raise AnnotationError(f'{path} holds a {type(content).__name__}: give a COCO results file')
    found = Predictions()
    for place, record in enumerate(records):
        score = _check(path, place, record)
        image_id = image_of.get(record['image_id'])
        if image_id is None:
            found.strays += 1
        elif score is not None and score < min_score:
            found.low += 1
        else:
            category_id = record.get('category_id')
            category = names.get(category_id, f'category {category_id}')
            found.of_image.setdefault(image_id, []).append(
                Prediction(category, score, record['segmentation'])
            )
    if found.strays and found.strays == len(records):
        raise AnnotationError(
            f'{path}: none of its {found.strays:,} predictions is of an image of {truth.path}: give the annotations '
            'that were tested on'
        )
    return found


def _parse(path: Path) -> Any:
    try:
        with path.open(encoding='utf-8') as file:
            return json.load(file, parse_constant=_refuse_constant)
    except OSError as error:
        raise AnnotationError(f'{path} cannot be read ({error.strerror})') from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f'{path} is damaged ({error}): predict again') from error


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f'{text} is no number')


def _list_of(path: Path, content: dict[str, Any], section: str) -> list[dict[str, Any]]:
    records = content.get(section)
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        raise AnnotationError(f'{path} has no list of records {section!r}: give a COCO results file')
    return records


def _images_by_name(path: Path, content: dict[str, Any], truth: CocoContent) -> dict[Any, int]:
    """Ids of the truth by those of the file."""
    known: dict[str, int] = {}
    bare = Counter(PurePosixPath(image['file_name']).name for image in truth.images)
    for image in truth.images:
        name = image['file_name']
        known[name] = image['id']
        if bare[PurePosixPath(name).name] == 1:
            known.setdefault(PurePosixPath(name).name, image['id'])
    found = {}
    for image in _list_of(path, content, 'images'):
        texts = [str(image.get(key) or '') for key in ('file_name', 'source')]
        names = [name for text in texts for name in (text, PurePosixPath(text).name)]
        ids = [known[name] for name in names if name in known]
        if ids and isinstance(image.get('id'), (int, str)):
            found[image['id']] = ids[0]
    return found


def _check(path: Path, place: int, record: Any) -> float | None:
    """The score of a record that can be used."""
    named = f'{path}: prediction {place}'
    if not isinstance(record, dict) or not isinstance(record.get('image_id'), (int, str)):
        raise AnnotationError(f'{named} has no image_id: give a COCO results file')
    if 'segmentation' not in record:
        raise AnnotationError(
            f'{named} has no mask: give the results of masks, *.segm.json, not those of boxes'
        )
    category_id = record.get('category_id')
    if category_id is not None and not isinstance(category_id, (int, str)):
        raise AnnotationError(f'{named} has the category_id {category_id!r}, which is none')
    score = record.get('score')
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        raise AnnotationError(f'{named} has the score {score!r}, which is no number')
    return float(score)
