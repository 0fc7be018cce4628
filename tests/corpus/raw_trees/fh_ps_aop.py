"""FH-PS-AOP: a zip inside a zip, MetaImage files of one frame, channels first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save_volume, speckle, zip_folder

SHOWS = (
    'masks are kept where the image is black, at the border of the lit sector and in images without one',
    'the first of three channels, which come first, is the image',
    'label 1 is the symphysis, label 2 the head, also where they touch',
)
TITLE = 'Pubic Symphysis-Fetal Head Segmentation and Angle of Progression'
SIZE = (64, 72)


def build(folder: Path) -> Tree:
    root = folder / 'data' / TITLE
    pictures = []
    for seed, name in enumerate(('00001', '00002', '00010', '04000')):
        symphysis = box(8, 6 + seed, 20, 28 + seed, SIZE)
        head = disc(44, 44, 17, SIZE) & ~symphysis
        gray = speckle(seed, SIZE)
        # dark where labels still are; the last image is all dark
        gray[:, 50:] = 0
        if name == '04000':
            gray[:] = 0
        labels = np.zeros(SIZE, np.uint8)
        labels[symphysis], labels[head] = 1, 2
        save_volume(root / 'image_mha' / f'{name}.mha', np.stack([gray, gray // 2, gray // 3]))
        save_volume(root / 'label_mha' / f'{name}.mha', labels)
        objects = (Object('pubic_symphysis', symphysis), Object('fetal_head', head))
        pictures.append(Picture(f'image_mha/{name}.mha', objects, pixels=gray))
    inner = folder / 'outer' / f'{TITLE}.zip'
    zip_folder(folder / 'data', inner)
    source = folder / 'source'
    zip_folder(folder / 'outer', source / 'FH-PS-AOP.zip')
    return Tree(source, tuple(pictures))
