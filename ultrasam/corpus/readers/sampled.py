"""Stills and clips of one data set: stills as they are, of clips some frames a second."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.plan import Item
from ultrasam.corpus.readers.base import FrameStack
from ultrasam.corpus.readers.image import ImageStack
from ultrasam.corpus.readers.video import VideoStack
from ultrasam.corpus.words import ImageFiles, SampledFiles, VideoFiles


class SampledStack(FrameStack):
    """The frame of a still, or those of a clip that are taken."""

    def __init__(self, word: SampledFiles, item: Item) -> None:
        ending = item.frames.name.rsplit('.', 1)[-1].lower()
        self.is_single = ending in word.stills
        self._stack: FrameStack
        if self.is_single:
            self._stack = ImageStack(ImageFiles(word.pattern), item)
        else:
            clip = VideoStack(VideoFiles(word.pattern, 'all'), item)
            self._stack = clip
            step = sampling_step(clip.frames_per_second, word.per_second, item.frames.name)
            self._taken = itertools.islice(itertools.count(word.first, step), word.most)

    @property
    def length(self) -> int | None:
        """None for a clip: where it ends is known once it was read."""
        return 1 if self.is_single else None

    @property
    def numbers(self) -> Sequence[int]:
        """The one frame of a still."""
        return self._stack.numbers

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        return self._stack.read(number)

    def frames(self, named: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames that are taken; none of a clip that ends before the first of them."""
        if isinstance(self._stack, VideoStack):
            yield from self._stack.frames_at(self._taken)
        else:
            yield from self._stack.frames(named)

    def close(self) -> None:
        """Release the file."""
        self._stack.close()


def sampling_step(frames_per_second: float, wanted: int, name: str) -> int:
    """From one frame that is taken to the next.

    Args:
        frames_per_second: of the clip.
        wanted: how many of them to take, about.
        name: of the file, for messages.

    Raises:
        RawFileError: the clip states no rate.

    Example:
        >>> sampling_step(25.0, 3, 'a.mp4'), sampling_step(2.5, 3, 'b.gif')
        (8, 1)
    """
    if not math.isfinite(frames_per_second) or frames_per_second <= 0:
        raise RawFileError(
            f'{name}: states no frames a second, so that no frames can be chosen; save it again'
        )
    return max(1, int(frames_per_second / wanted))
