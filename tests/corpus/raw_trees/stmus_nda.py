"""STMUS_NDA: an archive in a folder with a long name, folders of muscles and conditions, copies for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import (
    Object,
    Picture,
    Tree,
    box,
    disc,
    save,
    speckle,
    write,
    zip_folder,
)

SHOWS = (
    'the same name in folders of other muscles and conditions is another image',
    'resized copies of the images are not read again',
    'one muscle an image: specks are dropped and holes filled',
    'masks of 0 and 1 and of 0 and 255 are alike, and an image without a muscle is left out and counted',
    'images whose names start with the same number share a subject',
)
TITLE = 'Dataset for deep learning segmentation of transverse musculoskeletal ultrasound images'
IMAGES = {
    ('BB', 'Healthy', '12_1'): '12',
    ('BB', 'Pathological', '12_1'): '12',
    ('GM', 'Healthy', '12_2'): '12',
    ('TA', 'Healthy', 'subj007_left'): 'subj007',
    ('TA', 'Pathological', 'noname'): 'noname',
}


def build(folder: Path) -> Tree:
    root = folder / 'raw' / 'Polito-Radboud-DeepLearningUS'
    copies = root / 'Segmentation_models' / 'data' / 'MuscleCNN'
    pictures = []
    for seed, ((muscle, condition, stem), subject) in enumerate(IMAGES.items()):
        home = root / muscle / condition
        image, mask = speckle(seed), disc(30, 36, 14 + seed)
        drawn = mask & ~disc(30, 36, 3) | box(2, 2, 3, 3)
        save(home / 'Images' / f'{stem}.png', image)
        save(home / 'Masks' / f'{stem}.png', drawn if seed % 2 else drawn.astype(np.uint8))
        save(copies / 'train' / f'{stem}_{seed}.png', image[::2, ::2])
        save(copies / 'trainannot' / f'{stem}_{seed}.png', drawn[::2, ::2])
        pictures.append(
            Picture(
                f'{muscle}/{condition}/Images/{stem}.png',
                (Object('transverse_musculoskeletal', mask),),
                None,
                subject,
                pixels=image,
            )
        )
    save(root / 'GM' / 'Pathological' / 'Images' / '40_1.png', speckle(20))
    save(root / 'GM' / 'Pathological' / 'Masks' / '40_1.png', np.zeros((64, 80), bool))
    write(root / 'main_segmentation.m', 'a script')
    write(root / 'readme.txt', 'a text')
    source = folder / 'source'
    zip_folder(folder / 'raw', source / TITLE / 'DATASET_10.1016j.compbiomed.2021.104623.zip')
    left_out = {
        'resized copies of the images, models and code of the authors': 10,
        'code of the authors': 1,
        'documentation': 1,
        'no objects': 1,
    }
    return Tree(source, tuple(pictures), left_out)
