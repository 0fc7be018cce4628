"""TN5000: a zip archive in the layout of Pascal VOC; the class is the name of the objects, "0" or "1"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.raw_trees.common import Picture, Tree, save, smooth, write, zip_folder

# id: name of its objects, how many, part
IMAGES = {
    '000001': ('1', 1, 'train'),
    '000002': ('0', 2, 'train'),
    '000004': ('1', 1, 'val'),
    '000007': ('0', 1, 'val'),
    '000010': ('0', 1, 'test'),
    '000011': ('1', 3, 'test'),
}


def voc(name: str, classes: list[str]) -> str:
    objects = ''.join(
        f'<object><name>{label}</name><pose>Unspecified</pose><bndbox><xmin>{9 + k}</xmin><ymin>8</ymin>'
        f'<xmax>{30 + k}</xmax><ymax>25</ymax></bndbox></object>'
        for k, label in enumerate(classes)
    )
    size = '<size><width>80</width><height>64</height><depth>3</depth></size>'
    return f'<annotation>\n<filename>{name}.jpg</filename>{size}\n{objects}\n</annotation>\n'


def fill(root: Path) -> None:
    """Write the files of the release below a folder."""
    for seed, (name, (label, count, _)) in enumerate(IMAGES.items()):
        gray = smooth(seed)
        # some of the release are gray, some have three channels
        save(root / f'JPEGImages/{name}.jpg', gray if seed % 2 else np.repeat(gray[..., None], 3, axis=2))
        write(root / f'Annotations/{name}.xml', voc(name, [label] * count))
    for part in ('train', 'val', 'test', 'trainval'):
        names = [
            name for name, found in IMAGES.items() if found[2] in (part, part.replace('trainval', 'val'))
        ]
        write(root / f'ImageSets/Main/{part}.txt', ''.join(f'{name}\n' for name in names))


def build(folder: Path) -> Tree:
    root = folder / 'unpacked' / 'TN5000_forReview'
    fill(root)
    pictures = []
    for name, (label, _, part) in IMAGES.items():
        with Image.open(root / f'JPEGImages/{name}.jpg') as image:
            pixels = np.array(image.convert('RGB'))
        label = ('benign', 'malignant')[int(label)]
        pictures.append(Picture(f'JPEGImages/{name}.jpg', (), None, None, part, label, pixels))
    zip_folder(folder / 'unpacked', folder / 'source' / 'TN5000_forReview.zip')
    return Tree(folder / 'source', tuple(pictures), {'train and val together': 1})
