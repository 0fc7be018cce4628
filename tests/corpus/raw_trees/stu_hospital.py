"""STU-Hospital: small square images, masks of other sizes with soft borders and specks of value 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write

SHOWS = (
    'masks are brought to the size of their images, whatever theirs is',
    'specks of value 1 are no lesion',
    'soft borders are cut at their middle, not at exactly 255',
    'a hole in a mask stays a hole',
    'masks are paired by number: 1 is not 10',
)
SIDE = 128


def build(folder: Path) -> Tree:
    root = folder / 'STU-Hospital-master'
    pictures = []
    for seed, (number, side) in enumerate({1: 420, 2: 512, 10: 128, 11: 500, 42: 480}.items()):
        image = speckle(seed, (SIDE, SIDE))
        middle, radius = side * (0.4 + 0.04 * seed), side * 0.2
        mask = disc(middle, middle, radius, (side, side))
        if number == 2:
            mask &= ~disc(middle, middle, radius / 4, (side, side))
        values = mask.astype(np.uint8) * 255
        # one pixel of border on both sides
        values[disc(middle, middle, radius + 1, (side, side)) & (values == 0)] = 100
        values[mask & ~disc(middle, middle, radius - 1, (side, side))] = 170
        values[4 : side // 8, 4 : side // 8] = 1
        if number == 2:
            values[disc(middle, middle, radius / 4, (side, side))] = 0
        save(root / 'Hospital' / f'Test_Image_{number}.png', image)
        save(root / 'Hospital' / f'mask_{number}.png', values)
        small = Image.fromarray(mask).resize((SIDE, SIDE), Image.Resampling.NEAREST)
        pictures.append(
            Picture(
                f'Hospital/Test_Image_{number}.png',
                (Object('breast_nodule', np.asarray(small).astype(bool)),),
                pixels=image,
            )
        )
    write(root / '.git' / 'HEAD', 'ref: refs/heads/master\n')
    return Tree(folder, tuple(pictures), {'history of the repository': 1})
