"""What every reader gives: frames by number, and the structures of a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.labels import Labelled
from ultrasam.corpus.plan import SourceFile
from ultrasam.errors import InputError
from ultrasam.io.readers.intensity import IntensityScale


class FrameStack(ABC):
    """The frames of one item; a context manager that releases its file."""

    is_single = False
    """A file of one image, whose frame has no number."""
    only_annotated = False
    """Whether frames that no annotation names are not wanted."""

    @property
    @abstractmethod
    def numbers(self) -> Sequence[int]:
        """Numbers of the frames that there are, ascending."""

    @abstractmethod
    def read(self, number: int) -> np.ndarray:
        """A frame, (H, W) or (H, W, 3) RGB, uint8; numbers ascend from call to call."""

    @property
    def length(self) -> int | None:
        """How many frames there are; None if that is known once they were read."""
        return len(self.numbers)

    def frames(self, named: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Give number and image of each frame that is wanted.

        Args:
            named: Numbers that annotations name, ascending.

        Raises:
            RawFileError: A frame that is named is not there, or one cannot be used.
        """
        there = self.numbers
        missing = sorted(set(named) - set(there))
        if missing:
            self.refuse_missing('', missing[0], len(there))
        for number in named if self.only_annotated else there:
            yield number, self.read(number)

    def refuse_missing(self, name: str, number: int, count: int) -> NoReturn:
        """Say that a frame is annotated that is not there.

        Raises:
            RawFileError: Always.
        """
        where = f'{name}: ' if name else ''
        raise RawFileError(f'{where}frame {number} is annotated, but there are {count}')

    def groups(self, number: int) -> Mapping[str, str]:
        """Groups of one frame beyond those of its item."""
        return {}

    def close(self) -> None:
        """Release the file."""
        return

    def __enter__(self) -> FrameStack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Annotation(ABC):
    """One annotation of an item."""

    def numbers(self) -> set[int] | None:
        """Numbers of the frames that it names; None if it concerns every frame."""
        return None

    def check_length(self, frames: int) -> None:
        """Refuse an annotation that is stored frame by frame and has another number of frames.

        Raises:
            RawFileError: its number of frames is not that of its image.
        """
        return

    @abstractmethod
    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures of a frame of the given size, and stray values."""

    def groups(self, number: int) -> Mapping[str, str]:
        """Groups that it gives a frame."""
        return {}

    def changes(self, number: int) -> Counter[str]:
        """What was done to the masks of the frame that was read last, to make them fit."""
        return Counter()


def as_bytes(values: np.ndarray, window: tuple[float, float] | None, name: str) -> np.ndarray:
    """Gray or RGB values as 8 bits.

    Args:
        values: of any number type.
        window: lowest and highest value to show; None: they are whole numbers from 0 to 255.
        name: of the file, for messages.

    Raises:
        RawFileError: values that are not finite, or without a window fractions or beyond 0 to 255.
    """
    if values.dtype == np.uint8 and window is None:
        return values
    if values.size and not np.isfinite(values).all():
        raise RawFileError(f'{name}: holds values that are not finite')
    if window is not None:
        return IntensityScale(Path(name), window=window, all_values=tuple)(values)
    if values.dtype.kind == 'f' and not np.array_equal(values, np.rint(values)):
        raise RawFileError(f'{name}: holds fractions where 0 to 255 are described; set a window')
    low, high = values.min(initial=0), values.max(initial=0)
    if low < 0 or high >= 256:
        raise RawFileError(f'{name}: values from {low} to {high} where 0 to 255 are described; set a window')
    return values.astype(np.uint8)


@contextmanager
def naming(file: SourceFile) -> Iterator[None]:
    """Let errors of readers name a file by its place in the release, not by where it was unpacked.

    Raises:
        RawFileError: The code in the ``with`` block raised an InputError.
    """
    try:
        yield
    except InputError as error:
        raise RawFileError(str(error).replace(str(file.path), file.name)) from error


def check_size(found_hw: Sequence[int], size_hw: tuple[int, int], name: str) -> None:
    """See that a mask is as large as its image.

    Raises:
        RawFileError: it is not; it is never resized in silence.
    """
    if tuple(found_hw) != size_hw:
        raise RawFileError(
            f'{name}: {found_hw[0]} x {found_hw[1]} pixels (rows x columns), its image {size_hw[0]} x {size_hw[1]}'
        )


def check_frames(found: int, frames: int, name: str) -> None:
    """Refuse a label file whose number of frames is not that of its image.

    Raises:
        RawFileError: it has more, or fewer.
    """
    if found != frames:
        kind = 'fewer' if found < frames else 'more'
        raise RawFileError(f'{name}: labels of {found} frames, {kind} than the {frames} of its image')
