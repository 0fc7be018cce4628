"""Positions in the foreground of a mask, found without listing all of its pixels, and its box."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np


class Rows(Protocol):
    """A mask of which single rows can be had, such as an array."""

    def __getitem__(self, y: int, /) -> np.ndarray:
        """Row y, (W,), foreground where not zero."""


def foreground_row_counts(mask: np.ndarray) -> np.ndarray:
    """Foreground pixels of each row, (H,), int64, of a mask (H, W) of any type."""
    return _counts_along(mask, 1)


def _counts_along(mask: np.ndarray, axis: int) -> np.ndarray:
    # cv2 adds bytes several times faster than numpy counts along an axis
    flags = np.ascontiguousarray(mask != 0).view(np.uint8)
    return cv2.reduce(flags, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).reshape(-1).astype(np.int64)


def foreground_pixel(mask: Rows, row_counts: np.ndarray, uniform: float) -> tuple[int, int]:
    """The foreground pixel (x, y) that a uniform picks, in row-major order.

    Equals entry ``int(uniform * n)`` of ``np.nonzero(mask)`` without listing
    all n pixels: the row comes from the cumulative counts, the column from
    that row alone.

    Args:
        mask: (H, W), foreground where not zero.
        row_counts: (H,), int, its foreground pixels in each row.
        uniform: in [0, 1).

    Example:
        >>> mask = np.array([[0, 1, 1], [0, 0, 1]])
        >>> foreground_pixel(mask, foreground_row_counts(mask), 0.9)
        (2, 1)
    """
    return ranked_foreground_pixel(mask, row_counts, int(uniform * int(row_counts.sum())))


def ranked_foreground_pixel(mask: Rows, row_counts: np.ndarray, rank: int) -> tuple[int, int]:
    """Return the foreground pixel (x, y) of a rank, from 0 in row-major order; see :func:`foreground_pixel`."""
    ends = np.cumsum(row_counts)
    y = int(np.searchsorted(ends, rank, side='right'))
    columns = np.flatnonzero(mask[y])
    return int(columns[rank - int(ends[y]) + int(row_counts[y])]), y


def foreground_centre(mask: np.ndarray, row_counts: np.ndarray) -> np.ndarray:
    """Mean position (2,), float64, xy, of the foreground pixels."""
    filled = np.flatnonzero(row_counts)
    return centre_of_counts(_counts_along(mask[filled[0] : filled[-1] + 1], 0), row_counts)


def centre_of_counts(column_counts: np.ndarray, row_counts: np.ndarray) -> np.ndarray:
    """Return the mean position (2,), float64, xy, of foreground that is counted by columns (W,) and rows (H,)."""
    sums = [(np.arange(counts.size) * counts).sum() for counts in (column_counts, row_counts)]
    return np.array(sums, np.float64) / row_counts.sum()


def nearest_foreground(mask: np.ndarray, point: np.ndarray) -> np.ndarray:
    """The point itself if its pixel is foreground, else the nearest foreground pixel, (2,), float64, xy."""
    x, y = np.floor(point + 0.5).astype(int)
    if mask[y, x]:
        return point
    pixels = np.argwhere(mask)[:, ::-1]
    return pixels[np.square(pixels - point).sum(1).argmin()].astype(np.float64)


def box_of_mask(mask: np.ndarray) -> np.ndarray:
    """Return the tight box (4,), float64, xyxy pixels, right and bottom exclusive; zeros for an empty mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return np.zeros(4)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
