# ruff: noqa: N999
"""105US: masks in a folder of their own, with a word after the number; soft borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle

SHOWS = (
    'the bright half of a soft border is tumour, not pixels of exactly 255 alone',
    'masks are paired by number: 1 is not 10 or 105, whatever the order of the files',
    'two metastases in one image are two instances',
    'an image with an empty mask is left out and counted',
)


def build(folder: Path) -> Tree:
    tumours = {
        1: (disc(20, 20, 9),),
        2: (disc(18, 24, 8), disc(44, 60, 10)),
        10: (disc(40, 30, 12),),
        105: (disc(34, 50, 11),),
    }
    pictures = []
    for seed, (number, masks) in enumerate(tumours.items()):
        image = speckle(seed)
        values = np.max(masks, axis=0).astype(np.uint8) * 255
        top = int(np.nonzero(masks[0])[0].min())
        column = int(np.nonzero(masks[0][top])[0][0])
        # a soft border: its bright pixel belongs to the tumour, its dark one does not
        values[top, column] = 200
        values[top - 1, column] = 90
        save(folder / '105 US Images' / f'{number}.png', image)
        save(folder / '105 US Masks' / f'{number} G man.png', values)
        objects = tuple(Object('tumor', mask) for mask in masks)
        pictures.append(Picture(f'105 US Images/{number}.png', objects, pixels=image))
    save(folder / '105 US Images' / '7.png', speckle(9))
    save(folder / '105 US Masks' / '7 G man.png', np.zeros((64, 80), bool))
    return Tree(folder, tuple(pictures), {'no objects': 1})
