"""EchoCP: NIfTI videos upside down, two a patient, with labels of several values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save_volume, speckle, write

SHOWS = (
    'chambers that touch stay apart',
    'frames without labels are left out, and frame numbers kept',
    'frames are turned by half a turn',
    'both videos of a patient share a subject',
)
SIZE = (64, 72)
VIDEOS = ('001_r', '001_v', '002_r')


def build(folder: Path) -> Tree:
    root = folder / 'EchoCP_dataset'
    pictures = []
    for seed, video in enumerate(VIDEOS):
        images = np.stack([speckle(10 * seed + k, SIZE) for k in range(4)])
        labels = np.zeros(images.shape, np.int16)
        for k in (1, 3):
            # side by side, without a gap
            chambers = [
                box(10, 10, 29, 30 + k, SIZE),
                box(10, 31 + k, 29, 60, SIZE),
                box(30, 10, 50, 60, SIZE),
            ]
            for value, mask in enumerate(chambers, start=1):
                labels[k][mask] = value
            objects = tuple(Object('chamber', mask[::-1, ::-1]) for mask in chambers)
            source = f'{video}_image.nii.gz'
            pictures.append(Picture(source, objects, k, video[:3], pixels=images[k][::-1, ::-1]))
        save_volume(root / f'{video}_image.nii.gz', images)
        save_volume(root / f'{video}_label.nii.gz', labels)
    write(folder / 'echoCP_diagnosis_label.xlsx', 'a table')
    write(folder / 'EchoCP_dataset.z01', 'a part')
    write(folder / 'EchoCP_dataset.change2zip', 'the last part')
    return Tree(folder, tuple(pictures), {'diagnoses': 1, 'parts of the archive': 2, 'no objects': 6})
