"""NumPy files. None is unpickled; :mod:`ultrasam.corpus.readers.pickled` reads objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.labels import Labelled, read_labels
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import Annotation, FrameStack, as_bytes, check_frames, check_size
from ultrasam.corpus.words import ArrayFiles, LabelArrays


class ArrayStack(FrameStack):
    """Frames on the first axis of an array."""

    def __init__(self, word: ArrayFiles, item: Item) -> None:
        self._scale = word.scale
        self._name = item.frames.name
        self._values = read_stack(item.frames)

    @property
    def numbers(self) -> Sequence[int]:
        """All frames."""
        return range(len(self._values))

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        plane = self._values[number]
        return as_bytes(plane if self._scale == 1 else np.trunc(plane * self._scale), None, self._name)


class ArrayLabels(Annotation):
    """Label frames on the first axis of an array."""

    def __init__(self, word: LabelArrays, files: tuple[SourceFile, ...], item: Item, stray: float) -> None:
        if len(files) > 1:
            raise RawFileError(f'{item.key}: {len(files)} label files where one is described')
        self._word = word
        self._groups = item.groups
        self._stray = stray
        self._name = files[0].name if files else ''
        self._values = read_stack(files[0]) if files else None

    def check_length(self, frames: int) -> None:
        """As many frames as the image."""
        if self._values is not None:
            check_frames(len(self._values), frames, self._name)

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures of a frame."""
        if self._values is None:
            return [], Counter()
        plane = self._values[number]
        check_size(plane.shape, size_hw, self._name)
        return read_labels(self._word.rule, plane, self._groups, name=self._name, stray_share=self._stray)


def read_stack(file: SourceFile) -> np.ndarray:
    """Frames of a NumPy file, (N, H, W); a last axis of one is dropped, and two axes are one frame.

    Raises:
        RawFileError: damaged, of another shape, or a file of objects.
    """
    try:
        values = np.load(file.path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RawFileError(f'{file.name}: damaged, or no array of numbers ({error})') from error
    if not isinstance(values, np.ndarray):
        raise RawFileError(f'{file.name}: several arrays where one is described')
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise RawFileError(f'{file.name}: shape {values.shape} where (N, H, W) is described')
    return values
