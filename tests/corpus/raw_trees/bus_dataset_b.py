"""BUS (Dataset B): two folders with the same names, six digits with gaps, soft borders, a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write

SHOWS = (
    'the folder of the release, Dataset_B, is taken as well as BUS',
    'gray from 150 on is lesion, darker gray is not',
    'gaps in the numbers shift no mask',
)


def build(folder: Path) -> Tree:
    root = folder / 'Dataset_B'
    lesions = {
        '000001': (disc(30, 30, 10),),
        '000003': (disc(20, 50, 9),),
        '000010': (disc(15, 15, 7), disc(45, 60, 8)),
        '000135': (disc(40, 44, 13),),
    }
    pictures = []
    for seed, (name, masks) in enumerate(lesions.items()):
        image = speckle(seed)
        values = np.max(masks, axis=0).astype(np.uint8) * 255
        if name == '000135':
            values[disc(40, 44, 14) & ~masks[0]] = 90
            values[40, 56:59] = (240, 150, 149)
        save(root / 'original' / f'{name}.png', image)
        save(root / 'GT' / f'{name}.png', values)
        objects = tuple(Object('breast_nodule', mask) for mask in masks)
        pictures.append(Picture(f'original/{name}.png', objects, pixels=image))
    write(root / 'DatasetB.xlsx', 'a spreadsheet that is not opened')
    return Tree(folder, tuple(pictures), {'diagnoses': 1})
