"""Whether two images show the same frame: one is registered to the other, and the speckle must agree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ultrasam.corpus.near_duplicates.views import CROPS, Crop, content_of, even_contrast, read_gray, square_of

# Measured (benchmarks/near_duplicates.py): copies reach 0.91 or more, one scene with other speckle 0.32 at most.
LEAST_AGREEMENT = 0.85
_SIDE = 256
_BLOCK = 16
_LEAST_BLOCKS = 12
# finer and coarser scale in pixels, iterations; from rough to exact
_STAGES = ((3.0, 20.0, 30), (1.2, 8.0, 30))
_PRECISION = 1e-4
# below this after the rough stage there is nothing to register
_LEAST_ROUGH = 0.4
_FINE_PX, _COARSE_PX = 0.8, 3.0
# standard deviation of the detail of a block below which it is empty
_LEAST_DETAIL = 1.0
# calipers, text and marks cover some blocks: this share of them may disagree
_DISAGREEING = 0.35


@dataclass(frozen=True)
class Comparison:
    """What is to be compared.

    Args:
        first: path of an image.
        second: path of another.
        crops: which crops of them look alike, as places in ``CROPS``.
    """

    first: Path
    second: Path
    crops: tuple[int, int]


def agreement(comparison: Comparison) -> float:
    """How well the fine detail of two images agrees, once one is registered to the other.

    Args:
        comparison: the images.

    Returns:
        The correlation that all but a third of the blocks exceed, -1 to 1; -1 also if they have too little in common.

    Raises:
        RawFileError: an image cannot be read.
    """
    first, second = _square(comparison.first), _square(comparison.second)
    if first is None or second is None:
        return -1.0
    start = _start(CROPS[comparison.crops[0]], CROPS[comparison.crops[1]])
    motion = _register(first, second, start)
    return -1.0 if motion is None else _block_agreement(first, second, motion)


@lru_cache(maxsize=64)
def _square(path: Path) -> np.ndarray | None:
    content = content_of(read_gray(path))
    return None if content is None else square_of(content, _SIDE)


def _start(first: Crop, second: Crop) -> np.ndarray:
    """(2, 3), float32: takes pixels of the first square to the second, as their crops say."""

    def from_crop(crop: Crop) -> np.ndarray:
        size = crop.side * _SIDE
        x_scale, x_start = (
            (-size, crop.left * _SIDE + size - 1) if crop.mirrored else (size, crop.left * _SIDE)
        )
        return np.array([[x_scale, 0, x_start], [0, size, crop.top * _SIDE], [0, 0, 1]])

    return (from_crop(second) @ np.linalg.inv(from_crop(first)))[:2].astype(np.float32)


def _register(first: np.ndarray, second: np.ndarray, start: np.ndarray) -> np.ndarray | None:
    """The motion of :func:`_start`, refined; None where nothing agrees."""
    motion = start
    for stage, (fine_px, local_px, iterations) in enumerate(_STAGES):
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, _PRECISION)
        details = [even_contrast(picture, fine_px, local_px) for picture in (first, second)]
        try:
            reached, motion = cv2.findTransformECC(
                details[0], details[1], motion.copy(), cv2.MOTION_AFFINE, criteria
            )
        # raised where the pictures have nothing to agree on
        except cv2.error:
            return None
        if stage == 0 and reached < _LEAST_ROUGH:
            return None
    return np.asarray(motion)


def _block_agreement(first: np.ndarray, second: np.ndarray, motion: np.ndarray) -> float:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second, motion, (_SIDE, _SIDE), flags=flags)
    seen = cv2.warpAffine(np.ones_like(second), motion, (_SIDE, _SIDE), flags=flags)
    one, other = (_blocks(_detail(picture)) for picture in (first, moved))
    one -= one.mean(axis=1, keepdims=True)
    other -= other.mean(axis=1, keepdims=True)
    spreads = one.std(axis=1), other.std(axis=1)
    usable = (_blocks(seen).min(axis=1) > 0.99) & (spreads[0] > _LEAST_DETAIL) & (spreads[1] > _LEAST_DETAIL)
    if usable.sum() < _LEAST_BLOCKS:
        return -1.0
    products = (one * other).mean(axis=1)[usable]
    return float(np.quantile(products / (spreads[0] * spreads[1])[usable], _DISAGREEING))


def _detail(picture: np.ndarray) -> np.ndarray:
    fine = cv2.GaussianBlur(picture, (0, 0), _FINE_PX)
    return fine - cv2.GaussianBlur(fine, (0, 0), _COARSE_PX)


def _blocks(picture: np.ndarray) -> np.ndarray:
    """(blocks, pixels): a square cut into blocks."""
    number = _SIDE // _BLOCK
    return picture.reshape(number, _BLOCK, number, _BLOCK).transpose(0, 2, 1, 3).reshape(number**2, _BLOCK**2)
