"""FASS: a zip inside a zip, PNG images of one or three channels, masks in pickled dicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, zip_folder

SHOWS = (
    'structures that overlap stay whole',
    'a structure that is missing, or whose mask is empty, is no object',
    'the picture is that of the PNG file, gray or coloured, not the array beside the masks',
    'images of one patient share a subject',
)
TITLE = 'Fetal Abdominal Structures Segmentation Dataset Using Ultrasonic Images'
# in an order that is not that of the alphabet
STRUCTURES = {
    'P01_IMG1': {'vein': disc(30, 50, 6), 'artery': disc(50, 20, 4), 'liver': disc(30, 40, 16)},
    'P01_IMG10': {'stomach': disc(30, 30, 8), 'liver': np.zeros((64, 80), bool)},
    'P02_IMG1': {'liver': disc(20, 20, 8) | disc(44, 60, 8)},
    'P169_IMG2': {'artery': disc(10, 10, 4), 'stomach': disc(40, 40, 9)},
}


def build(folder: Path) -> Tree:
    root = folder / 'data' / TITLE
    (root / 'ARRAY_FORMAT').mkdir(parents=True)
    pictures = []
    for seed, (name, masks) in enumerate(STRUCTURES.items()):
        image = speckle(seed)
        if seed == 2:
            image = np.dstack([image, image + 1, image + 2])
        save(root / 'IMAGES' / f'{name}.png', image)
        content = {
            'image': speckle(50 + seed),
            'structures': {key: mask.astype(np.uint8) for key, mask in masks.items()},
        }
        np.save(root / 'ARRAY_FORMAT' / f'{name}.npy', np.array(content, dtype=object), allow_pickle=True)
        objects = [Object(key, masks[key]) for key in sorted(masks) if masks[key].any()]
        if name == 'P02_IMG1':
            objects = [Object('liver', disc(20, 20, 8)), Object('liver', disc(44, 60, 8))]
        patient = name.split('_')[0]
        pictures.append(Picture(f'IMAGES/{name}.png', tuple(objects), None, patient, pixels=image))
    inner = folder / 'outer' / TITLE / f'{TITLE}.zip'
    zip_folder(folder / 'data', inner)
    source = folder / 'source'
    zip_folder(folder / 'outer', source / 'FASS.zip')
    return Tree(source, tuple(pictures))
