"""MMOTU-2D: JPEG images, coloured masks beside binary ones, lists with classes and two spaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, smooth, write

SHOWS = (
    'an image takes the class and part of its own line, not of the image before it',
    'the val list, which is the test part, stays out of the main file',
    'masks in dark colours are foreground, and their binary copies no second masks',
    'specks of resampled edges are dropped and counted',
)
CLASSES = {
    '1': (0, 'chocolate_cyst', (64, 0, 0), 'train'),
    '2': (3, 'thera_cell_tumor', (64, 0, 64), 'test'),
    '7': (5, 'normal_ovary', (64, 64, 64), 'train'),
    '10': (7, 'high_grade_serous', (0, 0, 128), 'test'),
}


def build(folder: Path) -> Tree:
    root = folder / 'OTU_2d'
    pictures = []
    for seed, (number, (_, name, colour, part)) in enumerate(CLASSES.items()):
        image, mask = smooth(seed), disc(30, 40, 12 + seed)
        save(root / 'images' / f'{number}.JPG', image, format='JPEG', quality=95)
        labels = np.zeros((*mask.shape, 3), np.uint8)
        labels[mask] = colour
        labels[2, 2] = colour
        save(root / 'annotations' / f'{number}.PNG', labels, format='PNG')
        save(root / 'annotations' / f'{number}_binary.PNG', mask, format='PNG')
        save(root / 'annotations' / f'{number}_binary_binary.PNG', mask, format='PNG')
        pictures.append(
            Picture(
                f'images/{number}.JPG',
                (Object(name, mask),),
                part=part,
                label=name,
                pixels=image,
                tolerance=6,
            )
        )
    for name, part in (('train', 'train'), ('val', 'test')):
        # not in the order of the numbers
        chosen = [number for number in reversed(CLASSES) if CLASSES[number][3] == part]
        write(root / f'{name}_cls.txt', ''.join(f'{n}.JPG  {CLASSES[n][0]}\n' for n in chosen))
        write(root / f'{name}.txt', ''.join(f'{n}\n' for n in chosen))
    left_out = {'the same mask without classes': 8}
    return Tree(folder, tuple(pictures), left_out)
