"""ACOUSLIC-AI: MetaImage stacks of which few frames are annotated, and a table with subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save_volume, speckle, write

SHOWS = (
    'cases of one subject share it, though their file names do not tell',
    'frames that are not annotated are left out and counted, and frame numbers kept',
    'optimal and suboptimal planes are one structure',
)
SIZE = (64, 72)
CASES = {'1a-07': ('11', {2: 1, 3: 2}), '2b-07': ('11', {0: 2}), '3c-09': ('12', {5: 1})}


def build(folder: Path) -> Tree:
    root = folder / 'acouslic-ai-train-set'
    pictures = []
    for seed, (case, (subject, annotated)) in enumerate(CASES.items()):
        images = np.stack([speckle(10 * seed + k, SIZE) for k in range(6)])
        labels = np.zeros_like(images)
        for frame, value in annotated.items():
            mask = disc(30, 30 + frame, 14, SIZE)
            labels[frame][mask] = value
            # the optimal plane beside the suboptimal one in a frame: still one abdomen
            labels[frame][:, :30][mask[:, :30]] = 3 - value
            source = f'stacked_fetal_ultrasound/{case}.mha'
            pictures.append(Picture(source, (Object('abdomen', mask),), frame, subject, pixels=images[frame]))
        save_volume(root / 'images' / 'stacked_fetal_ultrasound' / f'{case}.mha', images)
        save_volume(root / 'masks' / 'stacked_fetal_abdomen' / f'{case}.mha', labels)
    rows = [f'{case},{subject},250.1,251.0' for case, (subject, _) in CASES.items()]
    table = root / 'circumferences' / 'fetal_abdominal_circumferences_per_sweep.csv'
    write(table, '\n'.join(['uuid,subject_id,sweep_1_ac_mm,sweep_2_ac_mm', *rows]) + '\n')
    return Tree(folder, tuple(pictures), {'no objects': 14})
