"""TN-SCUI 2020: upper-case suffixes, masks of 0 and 255, a table with classes, test images without masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write

SHOWS = (
    'masks of the release, which hold 255 and not 1, give objects',
    'suffixes in capitals are taken as well as small ones',
    'test images, which have no masks, are left out',
    'classes of images are those of the table',
)


def build(folder: Path) -> Tree:
    root = folder / 'TNSCUI2020_train'
    nodules = {
        '00001.PNG': (disc(30, 30, 10),),
        '00002.png': (disc(15, 15, 7), disc(45, 60, 8)),
        '00010.PNG': (disc(20, 50, 9),),
        '04000.PNG': (disc(40, 40, 16),),
    }
    pictures = []
    for seed, (name, masks) in enumerate(nodules.items()):
        image = speckle(seed)
        save(root / 'image' / name, image)
        save(root / 'mask' / name, np.any(masks, axis=0))
        objects = tuple(Object('thyroid_nodule', mask) for mask in masks)
        label = ('benign', 'malignant')[seed % 2]
        pictures.append(Picture(f'image/{name}', objects, None, name[:5], label=label, pixels=image))
        save(folder / 'TNSCUI2020_test' / 'image' / name, speckle(20 + seed))
    rows = ''.join(f'{name},{seed % 2}\n' for seed, name in enumerate(nodules))
    write(root / 'train.csv', f'ID,CATE\n{rows}')
    return Tree(folder, tuple(pictures), {'test images, whose masks are not public': 4})
