"""HC18: outlines of ellipses, one of them open at the border of the image, and repeats of an exam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write

SHOWS = (
    'an outline that leaves the image is closed along the border, not left a line',
    'the drawn line belongs to the head',
    'repeats of an exam share a subject',
    'test images without masks are left out',
)
HEADS = {
    '000_HC': disc(30, 40, 20),
    '010_HC': disc(32, 30, 15),
    '010_2HC': disc(32, 34, 16),
    '011_HC': disc(6, 40, 18),
    '012_HC': disc(30, 74, 20),
}


def outline(head: np.ndarray) -> np.ndarray:
    """The border of a region, without that of the image."""
    return head & ~ndimage.binary_erosion(head, structure=np.ones((3, 3)), border_value=1)


def build(folder: Path) -> Tree:
    pictures, rows = [], ['filename,pixel size(mm),head circumference (mm)\n']
    for seed, (name, head) in enumerate(HEADS.items()):
        image = speckle(seed)
        save(folder / 'training_set' / f'{name}.png', image)
        save(folder / 'training_set' / f'{name}_Annotation.png', outline(head))
        rows.append(f'{name}.png,0.{seed + 1},{100 + seed}.5\n')
        source = f'training_set/{name}.png'
        pictures.append(
            Picture(source, (Object('fetal_head', head),), None, name.split('_')[0], pixels=image)
        )
    save(folder / 'test_set' / '000_HC.png', speckle(9))
    write(folder / 'training_set_pixel_size_and_HC.csv', ''.join(rows))
    write(folder / 'test_set_pixel_size.csv', 'filename,pixel size(mm)\n')
    left_out = {'test images, whose masks are not public': 1, 'pixel sizes of test images': 1}
    return Tree(folder, tuple(pictures), left_out)
