"""BUS-UCLM: names of patients in file names, masks in red and green, a table with semicolons."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write

SHOWS = (
    'green is benign and red malignant, with no swap of channels',
    'borders that were smoothed when a mask was saved again are kept to their half',
    'copies in partitions/ are no second images, and their masks do not win',
    'images of a patient share a subject',
    'images of normal breasts, whose masks are black, are left out and counted',
    'colour Doppler keeps its colours',
    'classes of images are those of the table, and an image without a row has none',
)
GREEN, RED = (0, 255, 0), (255, 0, 0)
# SHWA_002 has no row
LABELS = {
    'ALWI_000': 'Benign',
    'ALWI_001': 'Malignant',
    'ALWI_010': 'Malignant',
    'NEGI_000': 'Malignant',
    'NEGI_001': 'Normal',
}


def coloured(*parts: tuple[np.ndarray, tuple[int, int, int]]) -> np.ndarray:
    """An RGB mask."""
    values = np.zeros((*parts[0][0].shape, 3), np.uint8)
    for mask, colour in parts:
        values[mask] = colour
    return values


def build(folder: Path) -> Tree:
    root = folder / 'BUS-UCLM Breast ultrasound lesion segmentation dataset' / 'BUS-UCLM'
    one, two = disc(20, 20, 9), disc(44, 60, 10)
    benign, malignant = 'benign_breast_lesion', 'malignant_breast_lesion'
    lesions = {
        'ALWI_000': (coloured((one, GREEN)), ((benign, one),)),
        'ALWI_001': (coloured((one, RED)), ((malignant, one),)),
        'ALWI_010': (coloured((one, RED), (two, GREEN)), ((benign, two), (malignant, one))),
        'NEGI_000': (coloured((one | two, RED)), ((malignant, one), (malignant, two))),
        'SHWA_002': (coloured((two, GREEN)), ((benign, two),)),
    }
    # a border of SHWA_002 was smoothed: the bright pixel is lesion, the dark one beside it is not
    lesions['SHWA_002'][0][44, 70] = (0, 150, 0)
    lesions['SHWA_002'][0][44, 71] = (0, 80, 0)
    pictures = []
    for seed, (name, (values, found)) in enumerate(lesions.items()):
        image = speckle(seed)
        if name == 'NEGI_000':
            image = np.stack([speckle(20), speckle(21), speckle(22)], axis=2)
        save(root / 'images' / f'{name}.png', image)
        save(root / 'masks' / f'{name}.png', values)
        part = 'test' if name.startswith('SHWA') else 'train'
        save(root / 'partitions' / part / 'images' / f'{name}.png', image)
        save(root / 'partitions' / part / 'masks' / f'{name}.png', coloured((disc(9, 9, 5), RED)))
        objects = tuple(Object(category, mask) for category, mask in found)
        label = LABELS.get(name, '').lower()
        pictures.append(Picture(f'images/{name}.png', objects, None, name[:4], label=label, pixels=image))
    save(root / 'images' / 'NEGI_001.png', speckle(30))
    save(root / 'masks' / 'NEGI_001.png', coloured((one, (0, 0, 0))))
    rows = ''.join(f'{name}.png;{label};No;No\n' for name, label in LABELS.items())
    write(root / 'INFO.csv', f'Image;Label;Doppler;Combined\n{rows}')
    left_out = {
        'the same images, shared out': 10,
        'no objects': 1,
    }
    return Tree(folder, tuple(pictures), left_out)
