"""Thyroid cine-clips: one HDF5 file with all frames, masks and the clip of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, speckle, write

SHOWS = (
    'frames of one clip share a subject',
    'holes of a nodule are filled',
    'frames without nodule are kept',
)


def build(folder: Path) -> Tree:
    h5py = pytest.importorskip('h5py')
    images = np.stack([speckle(seed) for seed in range(6)])
    nodules = [disc(30, 30 + 3 * k, 10) if k != 4 else np.zeros((64, 80), bool) for k in range(6)]
    masks = np.stack([nodule & ~disc(30, 30 + 3 * k, 2) for k, nodule in enumerate(nodules)])
    clips = ['159_', '159_', '159_', '160_', '160_', '160_']
    with h5py.File(folder / 'dataset.hdf5', 'w') as file:
        file['image'] = images
        file['mask'] = masks.astype(np.uint8) * 255
        file['annot_id'] = [clip.encode() for clip in clips]
        file['frame_num'] = [0, 1, 2, 0, 1, 2]
    write(folder / 'metadata.csv', 'annot_id,age,sex\n159_,50,F\n160_,40,M\n')
    pictures = tuple(
        Picture(
            'dataset.hdf5',
            (Object('thyroid', nodule),) if nodule.any() else (),
            k,
            clips[k].rstrip('_'),
            pixels=images[k],
        )
        for k, nodule in enumerate(nodules)
    )
    return Tree(folder, pictures, {'age, sex, findings': 1})
