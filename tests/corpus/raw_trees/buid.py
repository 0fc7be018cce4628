"""BUID: an archive a class, names with spaces, BMP images, TIFF masks, cut-outs beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, zip_folder

SHOWS = (
    'numbers that restart in each class',
    'cut-outs of the lesion are not taken for images',
    'the class of the folder is kept, and the category is one',
    'images in colour are not turned from RGB to BGR',
)


def build(folder: Path) -> Tree:
    masks = {
        ('Benign', 1): disc(30, 30, 10),
        ('Benign', 2): disc(20, 50, 9),
        ('Benign', 10): disc(24, 20, 8),
        ('Malignant', 1): disc(44, 20, 12),
        ('Malignant', 2): disc(15, 15, 7) | disc(45, 60, 8),
    }
    pictures = []
    for seed, ((name, number), mask) in enumerate(masks.items()):
        image = np.stack([speckle(10 * seed + k) for k in range(3)], axis=2)
        inside = folder / 'unpacked' / name / name
        save(inside / f'{number} {name} Image.bmp', image)
        save(inside / f'{number} {name} Mask.tif', mask)
        save(inside / f'{number} {name} Lesion.bmp', image * mask[..., None])
        parts = (disc(15, 15, 7), disc(45, 60, 8)) if seed == 4 else (mask,)
        pictures.append(
            Picture(
                f'{name}/{number} {name} Image.bmp',
                tuple(Object('breast_nodule', part) for part in parts),
                label=name.lower(),
                pixels=image,
            )
        )
    for name in ('Benign', 'Malignant'):
        zip_folder(folder / 'unpacked' / name, folder / 'source' / f'{name}.zip')
    return Tree(folder / 'source', tuple(pictures), {'the lesion, cut out': 5})
