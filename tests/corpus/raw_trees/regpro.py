"""regPro: archives in an archive, NIfTI volumes cut along x, labels with four axes, one structure a channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save_volume, speckle, zip_folder

SHOWS = (
    'a landmark inside the gland stays an instance of its own',
    'the channel axis of the labels is the first, and slices run along x',
    'labels of fractions of one are labels',
    'slices without any structure are left out, and frame numbers kept',
    'the validation part is marked, and magnetic resonance left out',
)
# z, y, x
SHAPE = (40, 56, 5)
PLANE = SHAPE[:2]
CASES = {'case000000': 'train', 'case000001': 'train', 'case000065': 'val'}


def volume(seed: int) -> tuple[np.ndarray, np.ndarray, dict[int, list[np.ndarray]]]:
    """Image (z, y, x), labels (c, z, y, x) of fractions, and the structures of each x in the order of channels."""
    images = np.stack([speckle(10 * seed + x, PLANE) for x in range(SHAPE[2])], axis=2)
    labels = np.zeros((6, *SHAPE), np.float32)
    found: dict[int, list[np.ndarray]] = {}
    for x in range(1, 4):
        gland, apex, border = disc(20, 26, 11, PLANE), disc(18 + seed, 24, 3, PLANE), disc(28, 30, 5, PLANE)
        labels[0, :, :, x][gland] = 1
        labels[2, :, :, x][apex] = 0.4
        labels[5, :, :, x][border] = 1
        found[x] = [gland, apex, border]
    # only a landmark of one voxel
    spot = np.zeros(PLANE, bool)
    spot[7, 9] = True
    labels[4, :, :, 0][spot] = 1
    found[0] = [spot]
    return images, labels, found


def build(folder: Path) -> Tree:
    pictures = []
    for seed, (case, part) in enumerate(CASES.items()):
        home = folder / part / part
        images, labels, found = volume(seed)
        save_volume(home / 'us_images' / f'{case}.nii.gz', images)
        save_volume(home / 'us_labels' / f'{case}.nii.gz', labels)
        save_volume(home / 'mr_images' / f'{case}.nii.gz', images[:9])
        save_volume(home / 'mr_labels' / f'{case}.nii.gz', labels[:, :9])
        for x, masks in sorted(found.items()):
            pictures.append(
                Picture(
                    f'{part}/us_images/{case}.nii.gz',
                    tuple(Object('unknow1', mask[::-1, ::-1]) for mask in masks),
                    x,
                    case,
                    part,
                    pixels=images[:, :, x][::-1, ::-1],
                )
            )
    for part in ('train', 'val'):
        zip_folder(folder / part, folder / 'both' / f'{part}.zip')
    zip_folder(folder / 'both', folder / 'source' / 'regPro.zip')
    left_out = {'magnetic resonance': 2 * len(CASES), 'no objects': len(CASES)}
    return Tree(folder / 'source', tuple(pictures), left_out)
