"""Videos, decoded by OpenCV one frame after the other: seeking by number is off in many files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.plan import Item
from ultrasam.corpus.readers.base import FrameStack
from ultrasam.corpus.words import VideoFiles


class VideoStack(FrameStack):
    """Frames of a video, RGB."""

    def __init__(self, word: VideoFiles, item: Item) -> None:
        import cv2

        self._cv2 = cv2
        self._file = item.frames
        self.only_annotated = word.frames == 'annotated'
        self._count: int | None = None
        self._capture = self._open()
        self._next = 0

    @property
    def numbers(self) -> Sequence[int]:
        """Frames that decode; headers are wrong often enough, so they are counted."""
        if self._count is None:
            capture = self._open()
            self._count = 0
            while capture.grab():
                self._count += 1
            capture.release()
        return range(self._count)

    @property
    def frames_per_second(self) -> float:
        """As the header states it; 0 where it states none."""
        return float(self._capture.get(self._cv2.CAP_PROP_FPS))

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        while self._next < number and self._capture.grab():
            self._next += 1
        decoded, bgr = self._capture.read()
        if not decoded or self._next != number:
            raise RawFileError(f'{self._file.name}: frame {number} cannot be decoded')
        self._next += 1
        return np.ascontiguousarray(bgr[..., ::-1])

    def close(self) -> None:
        """Release the file."""
        self._capture.release()

    def _open(self) -> Any:
        capture = self._cv2.VideoCapture(str(self._file.path.absolute()), self._cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise RawFileError(
                f'{self._file.name}: cannot be opened as a video: damaged, or a codec that is missing'
            )
        return capture
