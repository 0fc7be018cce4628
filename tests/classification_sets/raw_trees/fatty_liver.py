"""Fatty liver: one compressed MATLAB file, a struct array with a stack of frames a patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Picture, Tree, speckle

FILE = 'dataset_liver_bmodes_steatosis_assessment_IJCARS.mat'
FIELDS = ('id', 'class', 'fat', 'images')
# patient: class, percentage, part
PATIENTS = {
    1: (0, 3, 'train'),
    2: (1, 40, 'train'),
    3: (1, 5.5, 'test'),
    5: (0, 0, 'test'),
    7: (0, 2, 'val'),
    14: (1, 85, 'val'),
    55: (1, 10, 'train'),
}
FRAMES = 4


def stack_of(patient: int) -> np.ndarray:
    return np.stack([speckle(100 * patient + number, (30, 44)) for number in range(FRAMES)])


def save_records(path: Path, rows: Sequence[tuple[object, ...]], fields: Sequence[str] = FIELDS) -> None:
    """Write rows of values as the struct array ``data``."""
    from scipy.io import savemat

    records = np.empty((1, len(rows)), [(name, object) for name in fields])
    for place, row in enumerate(rows):
        records[0, place] = row
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {'data': records}, do_compression=True)


def rows() -> list[tuple[object, ...]]:
    return [
        (float(patient), float(found[0]), found[1], stack_of(patient)) for patient, found in PATIENTS.items()
    ]


def build(folder: Path) -> Tree:
    save_records(folder / FILE, rows())
    pictures = [
        Picture(FILE, (), number, str(patient), part, ('Normal', 'NFLD')[label], stack_of(patient)[number])
        for patient, (label, _, part) in PATIENTS.items()
        for number in range(FRAMES)
    ]
    return Tree(folder, tuple(pictures))
