"""Lists for classifiers and regressors from a COCO file: which structures an image shows, or how long an outline is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.special import ellipe

from ultrasam.atomic import publish_bytes
from ultrasam.coco.files import CocoContent, read_coco
from ultrasam.corpus.classification.corpus_lists import spelled
from ultrasam.errors import AnnotationError


@dataclass(frozen=True)
class WrittenList:
    """What a list holds.

    Args:
        path: of the list.
        images: lines of it.
        left_out: images of the COCO file that are not in it.
        counts: images with each structure, in the order of the labels; empty for a list of values.
    """

    path: Path
    images: int
    left_out: int
    counts: Mapping[str, int]


def write_structure_list(
    annotations: Path, target: Path, *, prefix: str = 'images', overwrite: bool = False
) -> WrittenList:
    """Write which categories each image shows, as a list of several classes an image.

    Args:
        annotations: COCO file. A label is the place of a category in the file, from 0 on.
        target: the list, a line an image; ``-`` is the label of one without annotations.
        prefix: what comes before file names, as seen from ``data_prefix`` of the dataset.
        overwrite: replace a list.

    Raises:
        AnnotationError: the COCO file cannot be used.
        OutputError: the list exists, or cannot be written.
    """
    content = read_coco(annotations)
    place = {category['id']: index for index, category in enumerate(content.categories)}
    shown = {key: {place[one['category_id']] for one in found} for key, found in _by_image(content).items()}
    lines = []
    for image in content.images:
        labels = tuple(sorted(shown.get(image['id'], ())))
        lines.append(f'{prefix}/{image["file_name"]} {spelled(labels)}')
    counts = Counter(label for labels in shown.values() for label in labels)
    names = {category['name']: counts[index] for index, category in enumerate(content.categories)}
    return _publish(target, lines, content, names, overwrite)


def write_circumference_list(
    annotations: Path, target: Path, category: str, *, prefix: str = 'images', overwrite: bool = False
) -> WrittenList:
    """Write the circumference of the one structure of a category that is an ellipse, in pixels of the image file.

    Ellipses are the attributes that simulated frames have: ``attributes.ellipse.half_axes_px`` of an annotation.

    Args:
        annotations: COCO file.
        target: the list. Images without the structure, with two of it, or with one that is no ellipse are left out.
        category: of the structure.
        prefix: what comes before file names, as seen from ``data_prefix`` of the dataset.
        overwrite: replace a list.

    Raises:
        AnnotationError: the COCO file cannot be used, has no such category, or no image with one such ellipse.
        OutputError: the list exists, or cannot be written.
    """
    content = read_coco(annotations)
    names = {one['name']: one['id'] for one in content.categories}
    if category not in names:
        raise AnnotationError(
            f'{annotations}: has no category {category!r}: choose one of {", ".join(names)}'
        )
    by_image = _by_image(content)
    lines = []
    for image in content.images:
        found = [one for one in by_image[image['id']] if one['category_id'] == names[category]]
        axes = _half_axes(found[0], annotations) if len(found) == 1 else None
        if axes is not None:
            lines.append(f'{prefix}/{image["file_name"]} {circumference(*axes):.3f}')
    if not lines:
        raise AnnotationError(
            f'{annotations}: no image shows one {category!r} with an ellipse (attributes.ellipse), as simulated '
            'frames have it'
        )
    return _publish(target, lines, content, {}, overwrite)


def circumference(first: float, second: float) -> float:
    """Circumference of an ellipse, in the unit of its half axes.

    Example:
        >>> round(circumference(1.0, 1.0), 4), round(circumference(3.0, 2.0), 4)
        (6.2832, 15.8654)
    """
    longer, shorter = max(first, second), min(first, second)
    return 4 * longer * float(ellipe(1 - (shorter / longer) ** 2))


def _half_axes(annotation: Mapping[str, Any], path: Path) -> tuple[float, float] | None:
    ellipse = (annotation.get('attributes') or {}).get('ellipse')
    if ellipse is None:
        return None
    try:
        first, second = (float(value) for value in ellipse['half_axes_px'])
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(
            f'{path}: attributes.ellipse of annotation {annotation["id"]} has no two half_axes_px'
        ) from error
    if not (0 < first < math.inf and 0 < second < math.inf):
        raise AnnotationError(f'{path}: half axes {first} and {second} of annotation {annotation["id"]}')
    return first, second


def _by_image(content: CocoContent) -> defaultdict[int, list[dict[str, Any]]]:
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content.annotations:
        found[annotation['image_id']].append(annotation)
    return found


def _publish(
    target: Path, lines: Iterable[str], content: CocoContent, counts: Mapping[str, int], overwrite: bool
) -> WrittenList:
    listed = list(lines)
    publish_bytes(target, ''.join(f'{line}\n' for line in listed).encode(), overwrite=overwrite)
    return WrittenList(target, len(listed), len(content.images) - len(listed), counts)
