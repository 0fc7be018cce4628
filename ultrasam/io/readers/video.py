"""Videos, decoded by OpenCV one frame after the other."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from ultrasam.errors import InputError
from ultrasam.io.readers.intensity import IntensityScale
from ultrasam.io.readers.source import FrameSource, check_frame_size
from ultrasam.masks.run_lengths import MOST_PIXELS
from ultrasam.structures.frames import Frame

_logger = logging.getLogger(__name__)


class VideoSource(FrameSource):
    """A video.

    The number of frames is that of the frames that decode: headers are wrong
    often enough, and a recording that was cut short still has its beginning.
    Counting decodes the file once, iterating does without. The rotation that
    a file states is applied.

    Args:
        path: the file.
        window: must be None; frames of a video are in colour.
        max_pixels: the most pixels of a frame.

    Raises:
        InputError: nothing can be decoded, a frame too large, or a window.
    """

    kind = 'video'

    def __init__(
        self, path: Path, *, window: tuple[float, float] | None = None, max_pixels: int = MOST_PIXELS
    ) -> None:
        super().__init__(path)
        IntensityScale(path, window=window, all_values=tuple).refuse_colour()
        self._max_pixels = max_pixels
        self._count: int | None = None
        self._capture = self._open()
        self._next = 0
        self._size_hw = self._read(0).size_hw

    def __len__(self) -> int:
        if self._count is None:
            capture = self._open()
            count = 0
            while capture.grab():
                count += 1
            self._finish(capture, count)
        return self._count or 0

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._size_hw

    @property
    def stated_count(self) -> int | None:
        """How many frames the header claims, or None if it claims nothing."""
        stated = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        return stated if stated > 0 else None

    @property
    def frames_per_second(self) -> float:
        """As the header states it; 0 where it states none."""
        return float(self._capture.get(cv2.CAP_PROP_FPS))

    def __iter__(self) -> Iterator[Frame]:
        return self.frames_at(itertools.count())

    def frames_at(self, numbers: Iterable[int]) -> Iterator[Frame]:
        """Read the frames of these numbers, which ascend, in one pass; it ends where the video does."""
        capture = self._open()
        index = 0
        try:
            for number in numbers:
                while index < number and capture.grab():
                    index += 1
                decoded, bgr = capture.read()
                if index < number or not decoded:
                    self._finish(capture, index)
                    return
                yield self._frame(bgr, index)
                index += 1
        finally:
            capture.release()

    def _read(self, index: int) -> Frame:
        # Seeking by index is off by some frames in many files; reading on is exact.
        if index < self._next:
            self._capture.release()
            self._capture, self._next = self._open(), 0
        while self._next < index and self._capture.grab():
            self._next += 1
        decoded, bgr = self._capture.read()
        if not decoded:
            raise InputError(f'{self.path}: frame {index} cannot be decoded. Copy or convert the video again')
        self._next += 1
        return self._frame(bgr, index)

    def close(self) -> None:
        """Release the file."""
        self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise InputError(
                f'{self.path}: cannot be opened as a video: cut short, damaged, or of a codec that OpenCV lacks. '
                'Convert it to H.264 in MP4, or to MJPEG in AVI'
            )
        height, width = (
            int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        )
        check_frame_size(self.path, height, width, self._max_pixels)
        return capture

    def _finish(self, capture: cv2.VideoCapture, count: int) -> None:
        """Keep the number of frames, and tell if the header promised more."""
        stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        if self._count is None and stated > count:
            _logger.warning(
                '%s: %d of the %d frames that its header states can be decoded', self.path, count, stated
            )
        self._count = count

    def _frame(self, bgr: np.ndarray, index: int) -> Frame:
        return Frame(np.ascontiguousarray(bgr[..., ::-1]), self.path, index)
