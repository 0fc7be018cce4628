"""Videos of a dataset, each decoded once; :mod:`ultrasam.io.readers.video` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ultrasam.corpus.plan import Item
from ultrasam.corpus.readers.base import FrameStack, naming
from ultrasam.corpus.words import VideoFiles
from ultrasam.io.readers.video import VideoSource


class VideoStack(FrameStack):
    """Frames of a video, RGB."""

    def __init__(self, word: VideoFiles, item: Item) -> None:
        self._file = item.frames
        self.only_annotated = word.frames == 'annotated'
        with naming(self._file):
            self._source = VideoSource(self._file.path)

    @property
    def length(self) -> int | None:
        """None: how many frames decode is known at the end alone, as headers are wrong often enough."""
        return None

    @property
    def numbers(self) -> Sequence[int]:
        """Frames that decode; counting them is a pass of its own."""
        return range(len(self._source))

    @property
    def frames_per_second(self) -> float:
        """As the header states it; 0 where it states none."""
        return self._source.frames_per_second

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        with naming(self._file):
            return self._source.frame(number).image

    def frames(self, named: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Frames in one pass."""
        last = -1
        for last, image in self.frames_at(named if self.only_annotated else None):
            yield last, image
        missing = [number for number in named if number > last]
        if missing:
            self.refuse_missing(self._file.name, missing[0], len(self._source))

    def frames_at(self, numbers: Iterable[int] | None) -> Iterator[tuple[int, np.ndarray]]:
        """Frames of these numbers, which ascend, or all, in one pass; it ends where the video does."""
        with naming(self._file):
            found = iter(self._source) if numbers is None else self._source.frames_at(numbers)
            for frame in found:
                yield frame.index, frame.image

    def close(self) -> None:
        """Release the file."""
        self._source.close()
