"""CAMUS: NIfTI half sequences in folders of patients, lists of patients for the official split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save_volume, speckle, write

SHOWS = (
    'black blood pixels inside a structure punch no holes into it',
    'labels outside the sector are cleared',
    'patients of the official test part are kept out of the main file',
    'frames of one patient share a subject',
)
SIZE = (64, 72)
PARTS = {'0001': 'train', '0002': 'val', '0450': 'test'}


def frame(seed: int) -> tuple[np.ndarray, np.ndarray, list[Object]]:
    """A frame whose sector is a rectangle, its labels, and what they must become."""
    sector = box(4, 8, 59, 63, SIZE)
    cavity = disc(26, 36, 9 + seed % 3, SIZE)
    ring = disc(26, 36, 14, SIZE) & ~cavity
    atrium = disc(50, 36, 6, SIZE)
    image = np.where(sector, speckle(seed, SIZE), 0).astype(np.uint8)
    image[24:28, 33:39] = 0
    labels = np.zeros(SIZE, np.uint8)
    labels[cavity], labels[ring], labels[atrium] = 1, 2, 3
    # a slip of the label outside the sector
    labels[62, 2:5] = 2
    objects = [Object('endocardium', cavity), Object('epicardium', ring), Object('atrium_wall', atrium)]
    return image, labels, objects


def build(folder: Path) -> Tree:
    root = folder / 'CAMUS_public'
    pictures = []
    left_out = {'frames of the sequences, stored again': 0, 'acquisition data': 0}
    for patient, part in PARTS.items():
        home = root / 'database_nifti' / f'patient{patient}'
        for view in ('2CH', '4CH') if patient == '0001' else ('4CH',):
            frames = [frame(int(patient) + k) for k in range(2)]
            stem = f'patient{patient}_{view}'
            save_volume(home / f'{stem}_half_sequence.nii.gz', np.stack([image for image, _, _ in frames]))
            save_volume(
                home / f'{stem}_half_sequence_gt.nii.gz', np.stack([labels for _, labels, _ in frames])
            )
            save_volume(home / f'{stem}_ED.nii.gz', frames[0][0][None])
            save_volume(home / f'{stem}_ED_gt.nii.gz', frames[0][1][None])
            write(home / f'Info_{view}.cfg', 'ED: 1\nES: 2\nNbFrame: 2\n')
            left_out['frames of the sequences, stored again'] += 2
            left_out['acquisition data'] += 1
            for k, (image, _, objects) in enumerate(frames):
                source = f'patient{patient}/{stem}_half_sequence.nii.gz'
                subject = f'patient{patient}'
                pictures.append(Picture(source, tuple(objects), k, subject, part, pixels=image))
    for name, part in (('training', 'train'), ('validation', 'val'), ('testing', 'test')):
        patients = [f'patient{patient}' for patient, where in PARTS.items() if where == part]
        write(root / 'database_split' / f'subgroup_{name}.txt', '\n'.join(patients) + '\n')
    return Tree(folder, tuple(pictures), left_out)
