"""TN3K: an official test part whose numbers restart, JPEG masks, folds as lists of places."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, smooth, write, zip_folder

SHOWS = (
    'official test images stay out of the main file',
    'numbers restart in the test part: no image takes the mask or the part of its namesake',
    'JPEG masks are cut at a threshold: few of their pixels are exactly 255 or 0',
    'the first fold gives the validation part, whatever the others say',
    'two nodules are two instances',
)
SIZE = (72, 96)


def build(folder: Path) -> Tree:
    outer = folder / 'outer' / 'Thyroid Dataset'
    root = outer / 'tn3k'
    # part, number: part of fold 0 and nodules
    nodules: dict[tuple[str, int], tuple[str, tuple[np.ndarray, ...]]] = {
        ('test', 0): ('test', (disc(20, 20, 10, SIZE),)),
        ('test', 1): ('test', (disc(20, 24, 9, SIZE), disc(50, 70, 11, SIZE))),
        ('trainval', 0): ('train', (disc(44, 30, 12, SIZE),)),
        ('trainval', 1): ('val', (disc(40, 60, 13, SIZE),)),
        ('trainval', 2): ('train', (disc(30, 40, 12, SIZE),)),
        ('trainval', 10): ('val', (disc(33, 50, 14, SIZE),)),
    }
    pictures = []
    for seed, ((part, number), (official, masks)) in enumerate(nodules.items()):
        image = smooth(seed, SIZE)
        save(root / f'{part}-image' / f'{number:04d}.jpg', image, quality=95)
        save(root / f'{part}-mask' / f'{number:04d}.jpg', np.max(masks, axis=0), quality=95)
        pictures.append(
            Picture(
                f'tn3k/{part}-image/{number:04d}.jpg',
                tuple(Object('thyroid_nodule', mask) for mask in masks),
                part=official,
                pixels=image,
                tolerance=6,
            )
        )
    for fold in range(5):
        lists = {'train': [0, 2], 'val': [1, 10]} if fold == 0 else {'train': [1, 10], 'val': [0, 2]}
        write(root / f'tn3k-trainval-fold{fold}.json', json.dumps(lists))
    write(root / 'tn3k-trainval.json', json.dumps({'train': [1, 10], 'val': [0, 2]}))
    for part in ('trainval', 'test'):
        write(root / f'label4{part}.csv', '0000,1\n')
    for kind in ('image', 'mask'):
        save(outer / 'tg3k' / f'thyroid-{kind}' / '0000.jpg', smooth(9))
    write(outer / 'tg3k' / 'tg3k-trainval.json', json.dumps({'train': [0], 'val': []}))
    write(outer / 'DDTI dataset' / 'DDTI.zip', 'an archive that is not opened')
    zip_folder(folder / 'outer', folder / 'source' / 'TN3K.zip')
    left_out = {
        'lists that are not used': 1,
        'folds that are not used': 4,
        'classes of images': 2,
        'another data set of the archive': 4,
    }
    return Tree(folder / 'source', tuple(pictures), left_out)
