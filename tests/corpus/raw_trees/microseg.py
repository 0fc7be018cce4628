"""MicroSeg: an archive in an archive, NIfTI stacks upside down, masks of experts beside those of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import (
    Object,
    Picture,
    Tree,
    box,
    disc,
    save_volume,
    speckle,
    zip_folder,
)

SHOWS = (
    'numbers that restart in test/ lose no volume',
    'masks of experts are read, never those of others whose folder names hold the same words',
    'the official test part stays out of the main file',
    'black pixels inside the gland punch no holes into it, and labels outside the sector are cleared',
    'slices are turned by half a turn, and those without a mask left out',
    'masks of 0 and 255, and of floating-point numbers, are masks, too',
)
SIZE = (72, 64)
NAME = 'Micro_Ultrasound_Prostate_Segmentation_Dataset'
CASES = (('train', '01', 1), ('train', '02', 255), ('test', '01', 1))


def slices(seed: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Images as stored, labels as stored, and the gland of each slice; the last slice has none."""
    sector = box(6, 8, 66, 58, SIZE)
    images, labels, glands = [], [], []
    for k in range(3):
        image = np.where(sector, speckle(10 * seed + k, SIZE), 0).astype(np.uint8)
        gland = disc(34, 28, 12 + (seed + k) % 5, SIZE) if k < 2 else np.zeros(SIZE, bool)
        # dark spots in the gland
        image[30:33, 24:27] = 0
        label = gland.copy()
        # a slip beyond the sector
        label[2, 20:30] = k < 2
        images.append(image)
        labels.append(label)
        glands.append(gland)
    return np.stack(images), np.stack(labels), glands


def write_release(folder: Path) -> dict[str, int]:
    """The release; what of it no description uses, counted."""
    root = folder / NAME
    others = ('medical_student', 'master_student', 'clinician')
    for seed, (part, number, value) in enumerate(CASES):
        images, labels, _ = slices(seed)
        home = root / part
        kind = np.float32 if number == '02' else np.uint8
        stem = f'{part}_{number}'
        save_volume(home / 'micro_ultrasound_scans' / f'microUS_{stem}.nii.gz', images)
        save_volume(
            home / 'expert_annotations' / f'expert_annotation_{stem}.nii.gz', labels.astype(kind) * value
        )
        wrong = np.zeros_like(images[:2])
        wrong[:, 20:60, 20:50] = 1
        if part == 'train':
            save_volume(home / 'non_expert_annotations' / f'nonexpert_annotation_{stem}.nii.gz', wrong)
        else:
            for other in others:
                save_volume(home / f'{other}_annotations' / f'{other}_annotation_{stem}.nii.gz', wrong)
    return {'annotations of a non-expert': 2, 'annotations of others': 3}


def build(folder: Path) -> Tree:
    left_out = write_release(folder / 'release')
    zip_folder(folder / 'release', folder / 'outer' / f'{NAME}.zip')
    zip_folder(folder / 'outer', folder / 'source' / 'MicroSeg.zip')
    pictures = []
    for seed, (part, number, _) in enumerate(CASES):
        images, _, glands = slices(seed)
        for k, gland in enumerate(glands[:2]):
            pictures.append(
                Picture(
                    f'{part}/micro_ultrasound_scans/microUS_{part}_{number}.nii.gz',
                    (Object('prostate', gland[::-1, ::-1]),),
                    k,
                    f'{part}_{number}',
                    part,
                    pixels=images[k][::-1, ::-1],
                )
            )
    return Tree(folder / 'source', tuple(pictures), {**left_out, 'no objects': 3})
