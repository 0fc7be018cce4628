"""LUSS_phantom: PNG images and label maps of five artefacts in train and test, some with a palette."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save, speckle, write

SHOWS = (
    'the same name in train and in test is two images, and the test part stays out of the main file',
    'labels with a palette are read as indices, not as colours',
    'every artefact has its own category, and two of a kind are two instances',
    'frames of a clip share a subject, even if the name of the clip holds the mark of frames',
)
CLIPS = {
    ('train', 'Rib01-F003'): 'Rib01',
    ('train', 'Rib01-F010'): 'Rib01',
    ('train', 'B-Fused-2-F1'): 'B-Fused-2',
    ('train', 'still'): 'still',
    ('test', 'Rib01-F003'): 'Rib01',
    ('test', 'A-lines-F2'): 'A-lines',
}


def structures(seed: int) -> list[tuple[int, str, np.ndarray]]:
    """Value, category and mask of each object, in the order of the categories."""
    found = [
        (1, 'rib', disc(10, 14 + seed, 6)),
        (1, 'rib', disc(10, 60, 6)),
        (2, 'pleural_line', box(20, 5, 22, 74)),
        (3, 'A_line', box(30, 10, 31, 30)),
    ]
    kinds = [(4, 'B_line', box(34, 40, 60, 43)), (5, 'B_line_confluence', box(34, 50, 60, 70))]
    return [*found, *kinds[: 1 + seed % 2]]


def save_indices(path: Path, labels: np.ndarray, *, palette: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    if palette:
        image.putpalette([0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
        assert image.mode == 'P'
    image.save(path)


def build(folder: Path) -> Tree:
    root = folder / 'data-3'
    pictures = []
    for seed, ((part, stem), clip) in enumerate(CLIPS.items()):
        image = speckle(seed)
        objects = structures(seed)
        labels = np.zeros(image.shape, np.uint8)
        for value, _, mask in objects:
            labels[mask] = value
        save(root / part / 'images' / f'{stem}.png', image)
        save_indices(root / part / 'masks' / f'{stem}.png', labels, palette=seed % 2 == 1)
        pictures.append(
            Picture(
                f'{part}/images/{stem}.png',
                tuple(Object(category, mask) for _, category, mask in objects),
                None,
                clip,
                part,
                pixels=image,
            )
        )
    write(folder / 'VideoClips' / 'Rib01.webm', 'a clip')
    write(folder / 'vidtoImage.m', 'a script')
    left_out = {'clips without masks': 1, 'how frames were taken from clips': 1}
    return Tree(folder, tuple(pictures), left_out)
