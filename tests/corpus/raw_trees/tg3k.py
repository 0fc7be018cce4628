"""TG3K: frames and masks as JPEG inside the archive of another data set, official parts as lists of places."""

from __future__ import annotations

import json
from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, smooth, write, zip_folder

SHOWS = (
    'frames of one video share a subject, which their size tells',
    'JPEG masks are cut at a threshold: few of their pixels are exactly 255 or 0',
    'the official validation part is known',
    'other data sets of the archive are left alone, though their files have the same numbers',
    'an image with an empty mask is kept',
)
# number: rows and columns
SIZES = {
    0: (64, 80),
    1: (64, 80),
    2: (64, 80),
    3: (72, 96),
    4: (72, 96),
    5: (72, 96),
}
VAL = (1, 5)


def build(folder: Path) -> Tree:
    outer = folder / 'outer' / 'Thyroid Dataset'
    pictures = []
    for number, size in SIZES.items():
        image = smooth(number, size)
        mask = disc(30, 34 + 2 * number, 14, size)
        if number == 4:
            mask &= False
        save(outer / 'tg3k' / 'thyroid-image' / f'{number:04d}.jpg', image, quality=95)
        save(outer / 'tg3k' / 'thyroid-mask' / f'{number:04d}.jpg', mask, quality=95)
        pictures.append(
            Picture(
                f'tg3k/thyroid-image/{number:04d}.jpg',
                (Object('thyroid_gland', mask),) if mask.any() else (),
                subject=f'{size[1]}x{size[0]}',
                part='val' if number in VAL else 'train',
                pixels=image,
                tolerance=6,
            )
        )
    lists = {'train': [n for n in SIZES if n not in VAL], 'val': list(VAL)}
    write(outer / 'tg3k' / 'tg3k-trainval.json', json.dumps(lists))
    for kind in ('image', 'mask'):
        save(outer / 'tn3k' / f'trainval-{kind}' / '0000.jpg', smooth(7))
        save(outer / 'tn3k' / f'test-{kind}' / '0000.jpg', smooth(8))
    write(outer / 'tn3k' / 'tn3k-trainval.json', json.dumps({'train': [0], 'val': []}))
    write(outer / 'tn3k' / 'label4test.csv', '0000,1\n')
    write(outer / 'DDTI dataset' / 'DDTI.zip', 'an archive that is not opened')
    zip_folder(folder / 'outer', folder / 'source' / 'TN3K.zip')
    return Tree(folder / 'source', tuple(pictures), {'another data set of the archive': 7})
