"""HDF5 files, read frame by frame: the largest is 36 GB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.labels import Labelled, read_labels
from ultrasam.corpus.plan import Item
from ultrasam.corpus.readers.base import Annotation, FrameStack, as_bytes, check_size
from ultrasam.corpus.words import Hdf5Frames, Hdf5Masks

# frames an item: enough to be worth a process, few enough that little is lost by a kill
FRAMES_AN_ITEM = 256


class Hdf5Stack(FrameStack):
    """Frames of the part of a file that an item covers."""

    def __init__(self, word: Hdf5Frames, item: Item) -> None:
        self._name = item.frames.name
        self._file = _opened(item.frames.path, self._name)
        self._frames = _dataset(self._file, word.dataset, self._name)
        self._columns = {group: _dataset(self._file, key, self._name) for group, key in word.groups.items()}
        for group, column in self._columns.items():
            if len(column) != len(self._frames):
                raise RawFileError(
                    f'{self._name}: {len(column)} values of {group} for {len(self._frames)} frames'
                )
        self._span = item.span or (0, len(self._frames))

    @property
    def numbers(self) -> Sequence[int]:
        """The frames of the item."""
        return range(*self._span)

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        return as_bytes(_entry(self._frames, number, self._name), None, self._name)

    def groups(self, number: int) -> Mapping[str, str]:
        """What the further keys say of this frame."""
        return {group: _text(column[number]) for group, column in self._columns.items()}

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class Hdf5Labels(Annotation):
    """Masks of the frames of the same file."""

    def __init__(self, word: Hdf5Masks, item: Item, stray: float) -> None:
        self._word = word
        self._item = item
        self._stray = stray
        self._name = item.frames.name
        self._file = _opened(item.frames.path, self._name)
        self._masks = _dataset(self._file, word.dataset, self._name)

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures of a frame."""
        plane = _entry(self._masks, number, self._name)
        check_size(plane.shape, size_hw, self._name)
        return read_labels(
            self._word.rule, plane, self._item.groups, name=self._name, stray_share=self._stray
        )


def spans(word: Hdf5Frames, path: Path) -> list[tuple[int, int]]:
    """First and last + 1 frame of each item that a file is shared out to.

    Raises:
        RawFileError: damaged, or without the data set.
    """
    with _opened(path, path.name) as file:
        count = len(_dataset(file, word.dataset, path.name))
    return [(start, min(start + FRAMES_AN_ITEM, count)) for start in range(0, count, FRAMES_AN_ITEM)]


def _opened(path: Path, name: str) -> Any:
    import h5py  # type: ignore[import-untyped]

    try:
        return h5py.File(path, 'r')
    except OSError as error:
        raise RawFileError(f'{name}: damaged, cut short, or no HDF5 file ({error})') from error


def _dataset(file: Any, key: str, name: str) -> Any:
    # links to other files are not followed
    link = file.get(key, getlink=True)
    if link is None or type(link).__name__ != 'HardLink' or not hasattr(file[key], 'shape'):
        raise RawFileError(f'{name}: no data set {key!r} among {sorted(file)}')
    return file[key]


def _entry(dataset: Any, number: int, name: str) -> np.ndarray:
    try:
        return np.asarray(dataset[number])
    except (OSError, IndexError, ValueError) as error:
        raise RawFileError(f'{name}: frame {number} of {dataset.name} cannot be read ({error})') from error


def _text(value: Any) -> str:
    return value.decode('utf-8', 'replace') if isinstance(value, bytes) else str(value)
