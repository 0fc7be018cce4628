"""SegThy: uncompressed NIfTI sweeps with labels of five values, volumes without labels beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save_volume, speckle

SHOWS = (
    'labels 4 and 5, the vessels of one side, are instances',
    'volumes without labels elsewhere in the release do not stop the conversion',
    'sweeps of a volunteer by other physicians, repeats and lobes share a subject',
    'slices without labels are left out, and the others turned by half a turn',
)
SIZE = (64, 72)
SCANS = ('001_P1_1_left', '001_P3_2_right', '014_P2_1_left')


def labels_of(side: str, k: int) -> tuple[np.ndarray, list[Object]]:
    """A label map as stored, and its objects."""
    carotid, jugular = (2, 3) if side == 'left' else (4, 5)
    masks = [
        (1, 'thyroid', disc(20, 20 + k, 9, SIZE)),
        (carotid, 'carotid', disc(45, 20, 6, SIZE)),
        (jugular, 'jugular', disc(45, 50, 8, SIZE)),
    ]
    # of the second slice only the vessels are marked; nothing of the third
    chosen = (masks, masks[1:], [])[k]
    labels = np.zeros(SIZE, np.uint8)
    for value, _, mask in chosen:
        labels[mask] = value
    return labels, [Object(category, mask) for _, category, mask in chosen]


def build(folder: Path) -> Tree:
    root = folder / 'US_data' / 'US_volunteer_dataset'
    pictures = []
    for seed, scan in enumerate(SCANS):
        side = scan.rsplit('_', 1)[1]
        images = np.stack([speckle(10 * seed + k, SIZE) for k in range(3)])
        drawn = [labels_of(side, k) for k in range(3)]
        save_volume(root / 'ground_truth_data' / 'US' / f'{scan}_US.nii', images)
        target = root / 'ground_truth_data' / 'US_thyroid_label' / f'{scan}.nii'
        save_volume(target, np.stack([labels for labels, _ in drawn]))
        for k, (_, objects) in enumerate(drawn):
            turned = tuple(Object(one.category, one.mask[::-1, ::-1]) for one in objects)
            if turned:
                source = f'ground_truth_data/US/{scan}_US.nii'
                pictures.append(Picture(source, turned, k, scan[:3], pixels=images[k][::-1, ::-1]))
    for name in ('002_P1_1_left_US.nii', '001_P1_1_left_US.nii'):
        save_volume(root / 'all_data' / 'US' / name, np.stack([speckle(90, SIZE)]))
    return Tree(folder, tuple(pictures), {'volumes without labels': 2, 'no objects': 3})
