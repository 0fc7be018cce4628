"""CCAUI: folders with spaces in their names, image and mask under one name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle

SHOWS = (
    'slices of one scan share a subject',
    'the images are those of one folder, though both have the same names',
    'slices without artery are left out and counted',
    'a mask with a constant alpha channel is read, and gray just below white still artery',
)
SCANS = {'202201121748100022VAS': (9, 10, 1183), '202201121820150007VAS': (9, 40)}


def build(folder: Path) -> Tree:
    root = folder / 'Common Carotid Artery Ultrasound Images'
    pictures = []
    seed = 0
    for scan, slices in SCANS.items():
        for n in slices:
            seed += 1
            name = f'{scan}_slice_{n}.png'
            image, artery = speckle(seed), disc(32, 20 + 6 * seed, 9)
            save(root / 'US images' / name, image)
            if n == 40:
                save(root / 'Expert mask images' / name, np.zeros_like(artery))
                continue
            mask = artery.astype(np.uint8) * (254 if n == 10 else 255)
            if n == 1183:
                mask = np.dstack([mask, mask, mask, np.full_like(mask, 255)])
            save(root / 'Expert mask images' / name, mask)
            pictures.append(
                Picture(f'US images/{name}', (Object('carotid_artery', artery),), None, scan, pixels=image)
            )
    return Tree(folder, tuple(pictures), {'no objects': 1})
