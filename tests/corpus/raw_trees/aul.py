"""AUL: an archive a class, JPEG images, one polygon a JSON file in folders of structures."""

from __future__ import annotations

import json
from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save, smooth, write, zip_folder

SHOWS = (
    'numbers start again in each class: neither images nor polygons of two classes are mixed',
    'the outline of the scanned area is no object, nor is the liver that lies in its folder',
    'a mass inside the liver leaves the liver whole',
    'an image without liver polygon, and one without any, are kept',
)
# class, number: corners of liver and mass; None where the release has none
IMAGES = {
    ('Normal', 1): ((10, 10, 50, 60), None),
    ('Normal', 2): (None, None),
    ('Benign', 1): ((8, 12, 52, 66), (20, 20, 34, 40)),
    ('Malignant', 1): ((12, 8, 48, 60), (40, 50, 56, 70)),
    ('Malignant', 229): ((14, 14, 50, 62), (22, 24, 30, 36)),
    ('Malignant', 374): (None, (24, 30, 40, 50)),
}


def polygon(top: int, left: int, bottom: int, right: int) -> str:
    return json.dumps([[left, top], [right, top], [right, bottom], [left, bottom]])


def build(folder: Path) -> Tree:
    pictures = []
    for seed, ((pathology, n), (liver, mass)) in enumerate(IMAGES.items()):
        root = folder / 'unpacked' / pathology / pathology
        image = smooth(seed)
        save(root / 'image' / f'{n}.jpg', image, quality=95)
        objects = []
        for name, corners in (('liver', liver), ('mass', mass)):
            if corners is not None:
                write(root / 'segmentation' / name / f'{n}.json', polygon(*corners))
                objects.append(Object(name, box(*corners)))
        # of image 229 the liver lies where the outline should be
        outline = liver if n == 229 and liver else (2, 2, 61, 77)
        if n != 2:
            write(root / 'segmentation' / 'outline' / f'{n}.json', polygon(*outline))
        pictures.append(
            Picture(
                f'{pathology}/image/{n}.jpg',
                tuple(objects),
                subject=f'{pathology}_{n}',
                label=pathology,
                pixels=image,
                tolerance=6,
            )
        )
    source = folder / 'source'
    for pathology in ('Benign', 'Malignant', 'Normal'):
        zip_folder(folder / 'unpacked' / pathology, source / f'{pathology}.zip')
    return Tree(source, tuple(pictures), {'the scanned area, no anatomy': 5})
