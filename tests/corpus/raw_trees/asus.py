"""ASUS: a zip inside a tar.gz, arrays of frames, masks and transforms of each scan."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, speckle, zip_folder

SHOWS = (
    'another array of a scan does not take the place of its images',
    'fractions of gray are cut to 8 bits, with the trailing axis dropped',
    'image and mask are both turned by 180 degrees',
    'frames without bone are left out and counted, and frame numbers kept',
    'frames of one scan share a subject, and scan 1 is not scan 10',
)
SIZE = (72, 64)


def build(folder: Path) -> Tree:
    arrays = folder / 'arrays'
    arrays.mkdir()
    pictures = []
    for seed, scan in enumerate(('1', '10', '103')):
        gray = np.stack([speckle(10 * seed + k, SIZE) for k in range(4)])
        # what 8 bits cannot hold is cut, not rounded
        images = ((gray + 0.6) / 255).astype(np.float32)
        bones = [disc(20 + k, 20 + seed, 6, SIZE) | disc(50, 44, 4, SIZE) for k in range(4)]
        bones[1] = np.zeros(SIZE, bool)
        np.save(arrays / f'{scan}_ultrasound.npy', images[..., None])
        np.save(arrays / f'{scan}_segmentation.npy', np.stack(bones).astype(np.float32)[..., None])
        np.save(arrays / f'{scan}_transform.npy', np.zeros((4, 4, 4)))
        np.save(arrays / f'{scan}_ultrasound_transforms.npy', np.zeros((4, 4, 4)))
        for k in (0, 2, 3):
            parts = (disc(20 + k, 20 + seed, 6, SIZE), disc(50, 44, 4, SIZE))
            pictures.append(
                Picture(
                    f'{scan}_ultrasound.npy',
                    tuple(Object('spine', part[::-1, ::-1]) for part in parts),
                    k,
                    scan,
                    pixels=gray[k][::-1, ::-1],
                )
            )
    inner = folder / 'ASUS' / 'DataArrays.zip'
    zip_folder(arrays, inner)
    source = folder / 'source'
    source.mkdir()
    with tarfile.open(source / 'ASUS.tar.gz', 'w:gz') as archive:
        archive.add(inner, 'ASUS/DataArrays.zip')
    return Tree(source, tuple(pictures), {'positions of the probe': 6, 'no objects': 3})
