"""PSFHS: MetaImage files of one frame, channels first, in folders that have the names of those of FH-PS-AOP."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save_volume, speckle

SHOWS = ('a crumb of the symphysis is dropped, the head beside it is kept',)


def build(folder: Path) -> Tree:
    pictures = []
    for seed, name in enumerate(('03744', '03745', '03751')):
        gray, head, symphysis = speckle(seed), disc(44, 44, 15 + seed), disc(14, 16, 7 + seed)
        labels = np.zeros(gray.shape, np.uint8)
        labels[symphysis], labels[head] = 1, 2
        labels[4, 70:72] = 1
        save_volume(folder / 'PSFHS/image_mha' / f'{name}.mha', np.stack([gray, gray // 2, gray // 3]))
        save_volume(folder / 'PSFHS/label_mha' / f'{name}.mha', labels)
        objects = (Object('pubic_symphysis', symphysis), Object('fetal_head', head))
        pictures.append(Picture(f'image_mha/{name}.mha', objects, pixels=gray))
    return Tree(folder, tuple(pictures))
