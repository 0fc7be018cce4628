"""BrEaST: an archive with images and masks side by side, one mask file a lesion, a spreadsheet beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write, zip_folder

SHOWS = (
    'lesions in files of their own that overlap stay two',
    'smoothed borders do not make a lesion larger',
    'a second tumour file is a tumour, not one of the other lesions',
    'normal cases, which have no mask, are counted, not lost',
    'an image with transparency that is the same everywhere keeps its colours',
)
INSIDE = 'BrEaST-Lesions_USG-images_and_masks'


def smoothed(mask: np.ndarray) -> np.ndarray:
    """A mask with dark gray around it, (H, W), uint8."""
    values = mask.astype(np.uint8) * 255
    rows, columns = np.nonzero(mask)
    values[rows.min() - 1, columns.min() : columns.max() + 1] = 70
    values[rows[-1], columns[-1]] = 180
    return values


def build(folder: Path) -> Tree:
    lesions = {
        '001': {'tumor': disc(30, 30, 10)},
        '002': {'tumor': disc(30, 30, 12), 'other1': disc(36, 44, 9)},
        '010': {'tumor': disc(20, 24, 8), 'other1': disc(44, 20, 7), 'other2': disc(44, 60, 7)},
        # none is known in the release; its file comes first in the order of names
        '021': {'tumor2': disc(40, 60, 9), 'tumor': disc(20, 24, 8)},
        '100': {'other1': disc(34, 50, 10)},
    }
    inside = folder / 'unpacked' / INSIDE
    pictures = []
    for seed, (case, masks) in enumerate(lesions.items()):
        image = np.stack([speckle(10 * seed + k) for k in range(3)], axis=2)
        opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
        save(inside / f'case{case}.png', np.concatenate([image, opaque], axis=2) if seed == 1 else image)
        for suffix, mask in masks.items():
            save(inside / f'case{case}_{suffix}.png', smoothed(mask))
        names = {'tumor': 'breast_nodule', 'other': 'other_lesion'}
        objects = tuple(Object(names[suffix.rstrip('12')], mask) for suffix, mask in masks.items())
        pictures.append(Picture(f'case{case}.png', objects, None, f'case{case}', pixels=image))
    save(inside / 'case050.png', speckle(99))
    source = folder / 'source'
    zip_folder(folder / 'unpacked', source / f'{INSIDE}-Dec-15-2023.zip')
    write(source / 'BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx', 'a spreadsheet that is not opened')
    return Tree(source, tuple(pictures), {'clinical data': 1, 'no objects': 1})
