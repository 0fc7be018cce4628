"""NIfTI and MetaImage volumes, read by SimpleITK."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ultrasam.corpus.errors import EnvironmentFault, RawFileError
from ultrasam.corpus.labels import Labelled, read_labels
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import (
    Annotation,
    FrameStack,
    as_bytes,
    check_frames,
    check_size,
    naming,
)
from ultrasam.corpus.words import LabelVolumes, VolumeFiles
from ultrasam.io.readers.volume_files import read_whole
from ultrasam.optional import optional_module


class VolumeStack(FrameStack):
    """Slices of a volume."""

    def __init__(self, word: VolumeFiles, item: Item) -> None:
        self._word = word
        self._name = item.frames.name
        values = read_volume(item.frames)
        if word.channel is not None:
            values = _channel(values, word.channel, self._name)
        self.is_single = word.axis is None
        self._planes = _planes(values, word.axis, self._name)
        if self._planes.ndim != 3:
            raise RawFileError(f'{self._name}: shape {values.shape} where three axes are described')

    @property
    def numbers(self) -> Sequence[int]:
        """All slices."""
        return range(len(self._planes))

    def read(self, number: int) -> np.ndarray:
        """One slice."""
        return as_bytes(np.ascontiguousarray(self._planes[number]), self._word.window, self._name)


class VolumeLabels(Annotation):
    """Slices of label volumes, cut as the volume of the frames is."""

    def __init__(
        self,
        word: LabelVolumes,
        files: tuple[SourceFile, ...],
        item: Item,
        frames: VolumeFiles,
        stray: float,
    ) -> None:
        if len(files) > 1:
            raise RawFileError(f'{item.key}: {len(files)} label volumes where one is described')
        self._word = word
        self._groups = item.groups
        self._stray = stray
        self._name = files[0].name if files else ''
        self._planes: np.ndarray | None = None
        if files:
            values = read_volume(files[0])
            if word.channel is not None:
                values = _channel(values, word.channel, self._name)
            self._planes = _planes(values, frames.axis, self._name)

    def check_length(self, frames: int) -> None:
        """As many slices as the image."""
        if self._planes is not None:
            check_frames(len(self._planes), frames, self._name)

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures of a slice."""
        if self._planes is None:
            return [], Counter()
        plane = np.ascontiguousarray(self._planes[number])
        check_size(plane.shape[:2], size_hw, self._name)
        return read_labels(self._word.rule, plane, self._groups, name=self._name, stray_share=self._stray)


def read_volume(file: SourceFile) -> np.ndarray:
    """Return all values of a volume, in the order of axes that SimpleITK gives: (z, y, x), or with more in front.

    Raises:
        RawFileError: Damaged or cut short.
        EnvironmentFault: SimpleITK is not installed.
    """
    itk = optional_module(
        'SimpleITK', need=f'{file.name}: reading volumes', extra='corpus', error=EnvironmentFault
    )
    with naming(file):
        values = read_whole(
            file.path, lambda: np.asarray(itk.GetArrayFromImage(itk.ReadImage(str(file.path))))
        )
    if values.dtype.kind == 'f' and not np.isfinite(values).all():
        raise RawFileError(f'{file.name}: holds values that are not finite')
    return values


def _channel(values: np.ndarray, channel: int, name: str) -> np.ndarray:
    """One entry of the first axis."""
    if channel >= len(values):
        raise RawFileError(f'{name}: no channel {channel} in the shape {values.shape}')
    chosen: np.ndarray = values[channel]
    return chosen


def _planes(values: np.ndarray, axis: int | None, name: str) -> np.ndarray:
    """The frames of a volume on the first axis; ``axis`` None: a file of one frame."""
    if axis is not None:
        return np.moveaxis(values, axis, 0)
    plane = values[0] if values.ndim == 3 and len(values) == 1 else values
    if plane.ndim != 2:
        raise RawFileError(f'{name}: shape {values.shape} where one frame is described')
    return plane[None]
