"""FALLMUD: two laboratories with TIFF and JPEG files, masks of two structures, some of them turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save, smooth, speckle, zip_folder

SHOWS = (
    'aponeuroses of one laboratory are turned clockwise, not resized, and those that fit are left alone',
    'a square image of that laboratory is turned, too; one of the other laboratory is not',
    'fascicles are converted',
    'JPEG masks are cut at gray 100',
    'an image without one of its masks is left out and counted',
)
WIDE, SQUARE = (64, 96), (80, 80)
# laboratory, name: size, and how often its aponeuroses are turned anticlockwise
IMAGES = {
    ('NeilCronin', 'img_00014'): (WIDE, 0),
    ('NeilCronin', 'img_00020'): (SQUARE, 0),
    ('RyanCunningham', '3'): (WIDE, 1),
    ('RyanCunningham', '4'): (WIDE, 0),
    ('RyanCunningham', '10'): (SQUARE, 1),
}


def build(folder: Path) -> Tree:
    root = folder / 'unpacked' / 'FALLMUD'
    pictures = []
    for seed, ((lab, name), (size, turns)) in enumerate(IMAGES.items()):
        is_tiff = lab == 'NeilCronin'
        suffix = 'tif' if is_tiff else 'jpg'
        image = speckle(seed, size) if is_tiff else smooth(seed, size)
        save(root / lab / 'images' / f'{name}.{suffix}', image, **({} if is_tiff else {'quality': 95}))
        # superficial and deep; of different widths, so that a half turn shows
        bands = box(10, 4, 15, 60, size), box(48, 10, 55, 70, size)
        fascicles = box(20, 12, 23, 40, size), box(32, 50, 35, 76, size)
        save(
            root / lab / 'aponeurosis_masks' / f'{name}.jpg', np.rot90(bands[0] | bands[1], turns), quality=90
        )
        save(
            root / lab / 'fascicle_masks' / f'{name}.{suffix}',
            fascicles[0] | fascicles[1],
            **({} if is_tiff else {'quality': 90}),
        )
        objects = [Object('aponeurosis', band) for band in bands]
        objects += [Object('fascicle', fascicle) for fascicle in fascicles]
        pictures.append(
            Picture(
                f'{lab}/images/{name}.{suffix}',
                tuple(objects),
                subject=lab,
                pixels=image,
                tolerance=0 if is_tiff else 6,
            )
        )
    save(root / 'NeilCronin' / 'images' / 'img_00030.tif', speckle(9))
    save(root / 'NeilCronin' / 'aponeurosis_masks' / 'img_00030.jpg', box(10, 4, 15, 60))
    source = folder / 'source' / 'FALLMUD.zip'
    zip_folder(folder / 'unpacked', source)
    return Tree(source.parent, tuple(pictures), {'no annotation file': 1})
