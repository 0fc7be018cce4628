"""Stills and clips of one data set: stills as they are, of clips some frames a second."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
        self._numbers: Sequence[int]
        if self.is_single:
            self._stack = ImageStack(ImageFiles(word.pattern), item)
            self._numbers = self._stack.numbers
        else:
            clip = VideoStack(VideoFiles(word.pattern, 'all'), item)
            self._stack = clip
            step = sampling_step(clip.frames_per_second, word.per_second, item.frames.name)
            self._numbers = range(word.first, len(clip.numbers), step)[: word.most]

    @property
    def numbers(self) -> Sequence[int]:
        """Frames that are taken; none of a clip that ends before the first of them."""
        return self._numbers

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        return self._stack.read(number)

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
