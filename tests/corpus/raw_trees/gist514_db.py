"""GIST514-DB: JPEG images and COCO files with polygons, one pair of files a fold."""

from __future__ import annotations

import json
from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save, smooth, write

SHOWS = (
    'the validation part of fold 0 is the test part and stays out of the main file',
    'each polygon is an instance, also where two of one object touch',
    'a polygon that the border of the cropped image cuts in two stays one instance',
    'an entry without image is counted, not an error',
    'the other folds and the file of all objects are not added',
    'objects have ids, and category 1 is leiomyoma',
)
# name: part of fold 0, category, polygons as boxes; below the image two legs of one polygon are joined
LEGS = (8, 8, 64, 24), (8, 40, 64, 56)
CASES = {
    '101': ('train', 1, [(10, 10, 30, 40)]),
    '102': ('val', 2, [(12, 20, 40, 60)]),
    '9': ('train', 2, [(5, 5, 20, 30), (20, 5, 40, 30)]),
    '110': ('val', 1, [(30, 30, 50, 70)]),
    '111': ('train', 2, LEGS),
}
NAMES = {1: 'lmym', 2: 'gist'}


def flat(top: int, left: int, bottom: int, right: int) -> list[float]:
    return [left, top, right, top, right, bottom, left, bottom]


def joined() -> list[float]:
    """The legs as one polygon, which reaches beyond the image."""
    return [8, 8, 24, 8, 24, 66, 40, 66, 40, 8, 56, 8, 56, 70, 8, 70]


def coco_text(names: list[str]) -> str:
    """A COCO file of these cases; ids are not in the order of the names."""
    images, annotations = [], []
    for number, name in enumerate(reversed(names), start=7):
        images.append({'id': number, 'file_name': f'{name}.jpg', 'height': 64, 'width': 80, 'anatomy_id': 2})
        _, category, polygons = CASES.get(name, ('', 1, [(1, 1, 9, 9)]))
        annotations.append(
            {
                'id': 100 + number,
                'image_id': number,
                'category_id': category,
                'iscrowd': 0,
                'segmentation': [joined()] if polygons is LEGS else [flat(*polygon) for polygon in polygons],
            }
        )
    categories = [{'id': number, 'name': name} for number, name in NAMES.items()]
    return json.dumps({'images': images, 'annotations': annotations, 'categories': categories})


def build(folder: Path) -> Tree:
    root = folder / 'usd514_jpeg_roi'
    pictures = []
    for seed, (name, (part, category, polygons)) in enumerate(CASES.items()):
        image = smooth(seed)
        save(root / 'images' / f'{name}.jpg', image, quality=95)
        # COCO's polygons have their corners between pixels
        masks = [box(top, left, min(bottom, 64) - 1, right - 1) for top, left, bottom, right in polygons]
        masks = [masks[0] | masks[1]] if polygons is LEGS else masks
        objects = tuple(Object(NAMES[category], mask) for mask in masks)
        pictures.append(
            Picture(
                f'usd514_jpeg_roi/images/{name}.jpg',
                objects,
                part={'train': 'train', 'val': 'test'}[part],
                label=NAMES[category],
                pixels=image,
                tolerance=6,
            )
        )
    parts = {part: [name for name in CASES if CASES[name][0] == part] for part in ('train', 'val')}
    write(root / 'annotations' / 'train_anno_crop_split_0.json', coco_text([*parts['train'], 'gone']))
    write(root / 'annotations' / 'val_anno_crop_split_0.json', coco_text(parts['val']))
    # in another fold the parts are others
    for k in range(1, 5):
        write(root / 'annotations' / f'train_anno_crop_split_{k}.json', coco_text(parts['val']))
        write(root / 'annotations' / f'val_anno_crop_split_{k}.json', coco_text(parts['train']))
    write(root / 'annotations' / 'all_anno_crop.json', coco_text(list(CASES)))
    save(folder / 'usdanno514raw' / 'images' / '101.jpg', smooth(9))
    left_out = {
        'other folds': 8,
        'all objects again': 1,
        'other versions of the images': 1,
        'rows of usd514_jpeg_roi/annotations/{part:train|val}_anno_crop_split_0.json without an image': 1,
    }
    return Tree(folder, tuple(pictures), left_out)
