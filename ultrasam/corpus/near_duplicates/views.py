"""How an image is looked at: without its black border, its local contrast made even, in several crops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ultrasam.corpus.errors import RawFileError

DETAIL_SIDE = 160
# a row belongs to the content if it has this share of the bright pixels of the fullest row, a column likewise: short
# lettering has less, and a wider border changes nothing
_BLACK, _LEAST_SHARE = 12, 0.15
_LEAST_SIDE_PX = 16
# standard deviation of gray values below which an image shows nothing that could be compared
_LEAST_SPREAD = 2.0
# speckle below the first scale is lost when an image is resized; the second is the reach of "local"
_FINE_PX, _LOCAL_PX = 1.5, 10.0
_NOISE_VARIANCE = 4.0


@dataclass(frozen=True)
class Crop:
    """A part of the content of an image, in shares of its sides.

    Args:
        top: upper edge.
        left: left edge.
        side: of height and of width.
        mirrored: left and right are swapped, after cropping.
    """

    top: float
    left: float
    side: float
    mirrored: bool = False


def _crops() -> tuple[Crop, ...]:
    centred = [Crop((1 - side) / 2, (1 - side) / 2, side) for side in (1.0, 0.975, 0.95, 0.925, 0.9)]
    aside = [
        Crop(top * (1 - side) / 2, left * (1 - side) / 2, side)
        for side in (0.95, 0.9)
        for top in range(3)
        for left in range(3)
        if (top, left) != (1, 1)
    ]
    return (*centred, *aside, Crop(0.0, 0.0, 1.0, mirrored=True))


CROPS = _crops()
"""The parts of each image that are hashed; two images are alike if any part of one is like any part of the other."""


def read_gray(path: Path) -> np.ndarray:
    """An image as (H, W), uint8 gray values.

    Raises:
        RawFileError: it cannot be read.
    """
    try:
        code = np.fromfile(path, np.uint8)
    except OSError as error:
        raise RawFileError(f'{path}: cannot be read ({error.strerror})') from error
    try:
        gray = cv2.imdecode(code, cv2.IMREAD_GRAYSCALE) if code.size else None
    except cv2.error as error:
        raise RawFileError(f'{path}: is damaged ({error.err})') from error
    if gray is None:
        raise RawFileError(f'{path}: is damaged, or no image')
    return np.asarray(gray)


def content_of(gray: np.ndarray) -> np.ndarray | None:
    """An image without its black border; None if nothing is left that could be compared.

    Args:
        gray: (H, W), uint8.

    Returns:
        (h, w), uint8, a view of ``gray``.

    Example:
        >>> frame = np.zeros((60, 80), np.uint8)
        >>> frame[10:50, 20:70] = np.random.default_rng(0).integers(30, 200, (40, 50))
        >>> content_of(frame).shape
        (40, 50)
    """
    bright = gray > _BLACK
    rows, columns = (_filled(bright.sum(axis=axis)) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return None
    content = gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return content if min(content.shape) >= _LEAST_SIDE_PX and content.std() >= _LEAST_SPREAD else None


def _filled(counts: np.ndarray) -> np.ndarray:
    return np.flatnonzero(counts > _LEAST_SHARE * counts.max(initial=0))


def square_of(content: np.ndarray, side: int) -> np.ndarray:
    """Content resized to a square, whatever its aspect.

    Args:
        content: (h, w), uint8.
        side: in pixels.

    Returns:
        (side, side), float32.
    """
    shrinks = max(content.shape) > side
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(content, (side, side), interpolation=interpolation).astype(np.float32)


def even_contrast(picture: np.ndarray, fine_px: float, local_px: float) -> np.ndarray:
    """Detail between two scales, divided by its local spread: gain, shading and the outline of the sector vanish.

    Args:
        picture: (H, W), float32.
        fine_px: what is finer is smoothed away.
        local_px: what is coarser is taken off, and the reach of the spread.

    Returns:
        (H, W), float32, of unit variance where there is contrast, about 0 where there is none.
    """
    fine = cv2.GaussianBlur(picture, (0, 0), fine_px)
    detail = fine - cv2.GaussianBlur(fine, (0, 0), local_px)
    return detail / np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), local_px) + _NOISE_VARIANCE)


def detail_of(content: np.ndarray) -> np.ndarray:
    """What is hashed of an image: (DETAIL_SIDE, DETAIL_SIDE), uint8, gray 128 where nothing is to be seen."""
    detail = even_contrast(square_of(content, DETAIL_SIDE), _FINE_PX, _LOCAL_PX)
    return np.clip(128 + 40 * detail, 0, 255).astype(np.uint8)
