"""MMOTU-3D: frames of contrast-enhanced ultrasound as JPEG, masks in colours of types beside binary ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, smooth, write

SHOWS = (
    'single images, not volumes, with suffixes in capitals',
    'every dark colour is the lesion, and binary copies are no second masks',
    'an image without a lesion is kept',
    'the val list, which is the test part, stays out of the main file',
)
COLOURS = {
    '1': ((64, 0, 0), 'train'),
    '2': ((0, 0, 64), 'test'),
    '3': ((0, 64, 0), 'train'),
    '11': ((0, 128, 0), 'test'),
    '20': (None, 'train'),
}


def build(folder: Path) -> Tree:
    root = folder / 'OTU_3d'
    pictures = []
    for seed, (number, (colour, part)) in enumerate(COLOURS.items()):
        panel = smooth(seed)
        image = np.stack([panel, panel // 2 + 30, panel // 3 + 20], axis=2)
        mask = disc(30, 40, 12 + seed) & (colour is not None)
        save(root / 'images' / f'{number}.JPG', image, format='JPEG', quality=97, subsampling=0)
        labels = np.zeros((*mask.shape, 3), np.uint8)
        labels[mask] = colour or 0
        save(root / 'annotations' / f'{number}.PNG', labels, format='PNG')
        save(root / 'annotations' / f'{number}_binary.PNG', mask.astype(np.uint8), format='PNG')
        objects = (Object('lesion', mask),) if colour else ()
        pictures.append(
            Picture(f'images/{number}.JPG', objects, part=part, pixels=image, tolerance=8),
        )
    for name, part in (('train', 'train'), ('val', 'test')):
        chosen = [number for number in reversed(COLOURS) if COLOURS[number][1] == part]
        write(root / f'{name}.txt', ''.join(f'{number}\n' for number in chosen))
    return Tree(folder, tuple(pictures), {'the same mask without types': 5})
