"""What every reader offers, and how it reports that a file cannot be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from ultrasam.errors import InputError
from ultrasam.io.readers.opening import Kind
from ultrasam.structures.frames import Frame

_Source = TypeVar('_Source', bound='FrameSource')


class FrameSource(ABC):
    """The frames of one file, read when they are asked for.

    Use it in a ``with`` statement, or call :meth:`close`. Iterating reads one
    frame after the other and holds none of those it has given.

    Args:
        path: the file.
    """

    kind: Kind

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def __len__(self) -> int:
        """How many frames can be read."""

    @abstractmethod
    def _read(self, index: int) -> Frame:
        """Read the frame at an index that exists."""

    @property
    @abstractmethod
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels of the first frame; only pages of a TIFF file may differ."""

    @property
    def stated_count(self) -> int | None:
        """How many frames there are as far as is known without decoding; of a video, what its header claims."""
        return len(self)

    def frame(self, index: int) -> Frame:
        """Read one frame.

        Args:
            index: its place in the file, from 0.

        Raises:
            InputError: no such frame, or it cannot be decoded.
        """
        if not 0 <= index < len(self):
            raise InputError(f'{self.path}: no frame {index}. Choose one from 0 to {len(self) - 1}')
        return self._read(index)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(len(self)):
            yield self._read(index)

    @abstractmethod
    def close(self) -> None:
        """Release the file and what was read of it; a second call does nothing."""

    def __enter__(self: _Source) -> _Source:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@contextmanager
def reporting(path: Path, fault: str, remedy: str, *, private: bool = False) -> Iterator[None]:
    """Turn whatever a decoder raises into an error of ours.

    A damaged file makes decoders fail in ways that they do not list: this
    catches every ``Exception``.

    Args:
        path: the file being read.
        fault: what is wrong, as a clause.
        remedy: what the user can do, as a sentence.
        private: leave out what the decoder said, because it may quote the file.

    Raises:
        InputError: the code in the ``with`` block failed.
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(f'{path}: not enough memory to read it. Crop or shrink it') from None
    except Exception as error:
        if private:
            raise InputError(f'{path}: {fault}. {remedy}') from None
        # ITK puts places in its own source code first.
        said = ' '.join(str(error).split()).rpartition('ERROR: ')[-1][-200:] or type(error).__name__
        raise InputError(f'{path}: {fault} ({said}). {remedy}') from error


def check_frame_size(path: Path, height: int, width: int, max_pixels: int) -> None:
    """Refuse a frame before memory is asked for it.

    Raises:
        InputError: no pixels, or more than ``max_pixels``.
    """
    if height < 1 or width < 1:
        raise InputError(f'{path}: an image of {width} x {height} pixels. Export it again')
    if height * width > max_pixels:
        raise InputError(
            f'{path}: {width} x {height} pixels are more than the {max_pixels:,} allowed. '
            'Crop or shrink it, or raise max_pixels if you trust the file'
        )


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Gray (H, W) or colour (H, W, 3), uint8, as contiguous (H, W, 3)."""
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels)
