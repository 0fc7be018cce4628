"""BUS_UC: a folder a class and one with both, numbers that may restart, a mask of another size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle

SHOWS = (
    'numbers that restart in each class overwrite nothing and swap no masks',
    'the folder with both classes gives no second copies',
    'only a folder of the name All is skipped, not one that begins so',
    'a mask a pixel smaller than its image is fitted to it',
    'the bright half of a soft border is tumour',
    'a mask that fills its whole image is one object, not none',
    'an image with an empty mask is left out and counted',
)


def build(folder: Path) -> Tree:
    root = folder / 'All downloads' / 'BUS_UC'
    masks = {
        ('Benign', '001'): disc(30, 30, 10),
        ('Benign', '002'): disc(40, 50, 9),
        ('Benign', '0319'): disc(16, 20, 10),
        ('Malignant', '001'): disc(20, 60, 12),
        ('Malignant', '003'): np.ones((64, 80), bool),
        ('Malignant', '010'): np.zeros((64, 80), bool),
    }
    pictures = []
    for seed, ((name, number), mask) in enumerate(masks.items()):
        image = speckle(seed)
        values = mask.astype(np.uint8) * 255
        if number == '002':
            values[40, 59], values[40, 60] = 160, 100
        if number == '0319':
            # a row and a column short: those in the middle are sampled twice, beyond the lesion
            values = values[:-1, :-1]
        place = f'{name}/images/{number}.png'
        for copy in (name, 'All'):
            save(root / copy / 'images' / f'{number}.png', image)
            save(root / copy / 'masks' / f'{number}.png', values)
        if mask.any():
            category = f'breast_{name.lower()}'
            pictures.append(Picture(place, (Object(category, mask),), label=category, pixels=image))
    # both classes have a number 001, of which the common folder holds one
    left_out = {'both classes, stored again': 10, 'no objects': 1}
    return Tree(folder, tuple(pictures), left_out)
