"""BUSI: folders of classes, several mask files an image, names with spaces and parentheses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle

SHOWS = ('lesions in files of their own that overlap stay two', 'numbers that restart in each class')


def build(folder: Path) -> Tree:
    root = folder / 'Dataset_BUSI_with_GT'
    pictures = []
    # numbers restart in each class; image 2 of 'benign' has two lesions that overlap, in files of their own
    lesions = {
        ('benign', 2): (disc(30, 30, 10), disc(30, 42, 10)),
        ('benign', 10): (disc(20, 50, 9),),
        ('malignant', 2): (disc(40, 20, 12),),
        ('malignant', 3): (disc(15, 15, 7) | disc(45, 60, 8),),
    }
    for seed, ((name, number), masks) in enumerate(lesions.items()):
        image = speckle(seed)
        save(root / name / f'{name} ({number}).png', image)
        for k, mask in enumerate(masks):
            save(root / name / f'{name} ({number})_mask{f"_{k}" if k else ""}.png', mask)
        objects = [disc(15, 15, 7), disc(45, 60, 8)] if number == 3 else masks
        pictures.append(
            Picture(
                f'{name}/{name} ({number}).png',
                tuple(Object('breast_nodule', mask) for mask in objects),
                label=name,
                pixels=image,
            )
        )
    save(root / 'normal' / 'normal (1).png', speckle(9))
    save(root / 'normal' / 'normal (1)_mask.png', np.zeros((64, 80), bool))
    return Tree(root.parent, tuple(pictures), {'normal breast, no lesion': 1, 'its black mask': 1})
