"""Ultrasound nerve segmentation: archives in an archive, TIFF, masks beside images, many of them empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write, zip_folder

SHOWS = (
    'frames of a subject share it, and 1_12 is not 11_2',
    'images without a nerve are kept, without objects',
    'test images without masks or subjects are left out',
    'masks are taken from their files, not from run lengths that go down the columns',
)
NERVES = {
    '1_1': disc(30, 30, 10),
    '1_2': np.zeros((64, 80), bool),
    '1_12': disc(28, 44, 11),
    '2_1': disc(40, 20, 9),
    '11_2': disc(20, 60, 12),
    '47_120': np.zeros((64, 80), bool),
}


def build(folder: Path) -> Tree:
    unpacked = folder / 'unpacked'
    pictures = []
    for seed, (name, mask) in enumerate(NERVES.items()):
        image = speckle(seed)
        save(unpacked / 'train' / 'train' / f'{name}.tif', image)
        save(unpacked / 'train' / 'train' / f'{name}_mask.tif', mask)
        objects = (Object('cervical_nerves', mask),) if mask.any() else ()
        pictures.append(Picture(f'train/{name}.tif', objects, None, name.split('_')[0], pixels=image))
    for number in (1, 2):
        save(unpacked / 'test' / 'test' / f'{number}.tif', speckle(50 + number))
    outer = folder / 'outer'
    for part in ('train', 'test'):
        zip_folder(unpacked / part, outer / f'{part}.zip')
    write(outer / 'train_masks.csv', 'subject,img,pixels\n1,1,1 64 129 64\n1,2,\n')
    write(outer / 'sample_submission.csv', 'img,pixels\n1,1 1\n2,1 1\n')
    zip_folder(outer, folder / 'source' / 'ultrasound-nerve-segmentation.zip')
    left_out = {
        'test images, whose masks are not public': 2,
        'the same masks as run lengths': 1,
        'form of a submission': 1,
    }
    return Tree(folder / 'source', tuple(pictures), left_out)
