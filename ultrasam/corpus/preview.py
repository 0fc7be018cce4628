"""A contact sheet of a converted data set: images with the outlines of their instances."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_file
from ultrasam.corpus.classification.files import TABLE
from ultrasam.corpus.manifest import MANIFEST

_COLOURS = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (213, 94, 0), (204, 121, 167), (240, 228, 66))
_COLUMNS = 6
_TILE = 240


def write_preview(folder: Path, target: Path, *, count: int) -> None:
    """Write a sheet of images that lie evenly over a data set; one that is there is replaced.

    Args:
        folder: of the converted data set.
        target: PNG file to write.
        count: how many images, at most.

    Raises:
        OutputError: the file cannot be written.
    """
    from PIL import Image

    from ultrasam.sheets import tile_sheet

    images: list[tuple[str, list[dict[str, Any]]]] = []
    listed = json.loads((folder / MANIFEST).read_text(encoding='utf-8'))['files']
    for name in sorted(name for name in listed if name.endswith('__coco.json')):
        path = folder / name
        content = json.loads(path.read_text(encoding='utf-8'))
        objects = defaultdict(list)
        for annotation in content['annotations']:
            objects[annotation['image_id']].append(annotation)
        images += [(image['file_name'], objects[image['id']]) for image in content['images']]
    if TABLE in listed:
        with (folder / TABLE).open(encoding='utf-8', newline='') as file:
            images += [(row['file_name'], []) for row in csv.DictReader(file)]
    places = np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))
    pictures = []
    for place in places:
        name, objects_of_image = images[place]
        with Image.open(folder / 'images' / name) as opened:
            pictures.append(_outlined(np.array(opened.convert('RGB')), objects_of_image))
    sheet = tile_sheet(pictures, columns=min(_COLUMNS, len(pictures)), tile=_TILE)
    with publish_file(target, overwrite=True) as path:
        Image.fromarray(sheet).save(path, 'PNG')


def _outlined(picture: np.ndarray, objects: list[dict[str, Any]]) -> np.ndarray:
    """A copy of a picture with the outline of each instance in the colour of its category."""
    from pycocotools import mask as coco_mask
    from scipy import ndimage

    for found in objects:
        mask = coco_mask.decode(found['segmentation']).astype(bool)
        width = max(1, round(max(mask.shape) / _TILE))
        edge = mask & ~ndimage.binary_erosion(mask, iterations=width)
        picture[edge] = _COLOURS[(found['category_id'] - 1) % len(_COLOURS)]
    return picture
