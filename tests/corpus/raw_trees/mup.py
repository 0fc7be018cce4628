"""MUP: the release of MicroSeg, converted with all slices and a series a patient."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree
from tests.corpus.raw_trees.microseg import CASES, slices, write_release

SHOWS = (
    'masks of experts are read, never those of a non-expert whose file names hold the same words',
    'numbers restart in test/, whose volumes stay out of the main file',
    'slices without a mask are kept, and all are turned upside down, not by half a turn',
    'labels outside the sector are cleared, and the dark spots in it punch no holes',
    'a patient has the subject that MicroSeg gives it',
)


def build(folder: Path) -> Tree:
    left_out = write_release(folder)
    pictures = []
    for seed, (part, number, _) in enumerate(CASES):
        images, _, glands = slices(seed)
        for k, gland in enumerate(glands):
            objects = (Object('prostate', gland[::-1]),) if gland.any() else ()
            pictures.append(
                Picture(
                    f'{part}/micro_ultrasound_scans/microUS_{part}_{number}.nii.gz',
                    objects,
                    k,
                    f'{part}_{number}',
                    part,
                    pixels=images[k][::-1],
                )
            )
    return Tree(folder, tuple(pictures), left_out)
