"""Smooth random fields, made from B-splines so that any machine gives the same values."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]) -> np.ndarray:
    """Draw a smooth random field of mean 0 and standard deviation near 1.

    Args:
        rng: Source of randomness.
        shape: Rows and columns of the field.
        cells: Number of independent patches along rows and columns.

    Returns:
        ``shape``, float64.
    """
    rows, columns = (max(1, round(number)) for number in cells)
    weights = rng.standard_normal((rows + 3, columns + 3))
    # A cubic B-spline leaves 0.479 of the variance along each axis.
    return _basis(shape[0], rows) @ weights @ _basis(shape[1], columns).T * (1 / 0.479)


def smooth_curve(rng: np.random.Generator, length: int, cells: float) -> np.ndarray:
    """Draw a smooth random curve ``(1, length)`` of mean 0 and standard deviation near 1."""
    columns = max(1, round(cells))
    return (_basis(length, columns) @ rng.standard_normal(columns + 3))[None, :] * (1 / 0.692)


def _basis(length: int, cells: int) -> np.ndarray:
    """Cubic B-spline weights ``(length, cells + 3)`` of evenly spaced points."""
    # Few distinct lengths make the cache hit; the last patch is cut off by up to 15 points.
    return _cached_basis(-(-length // 16) * 16, cells)[:length]


@lru_cache(maxsize=2048)
def _cached_basis(length: int, cells: int) -> np.ndarray:
    position = (np.arange(length) + 0.5) * (cells / length)
    cell = np.minimum(position.astype(np.intp), cells - 1)
    t = position - cell
    pieces = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    basis = np.zeros((length, cells + 3))
    for offset, piece in enumerate(pieces):
        basis[np.arange(length), cell + offset] = piece / 6
    return basis


def ramp(distance: np.ndarray, width: float) -> np.ndarray:
    """Fall smoothly from 1 (distance below -width) to 0 (distance above width)."""
    t = np.clip(0.5 - distance * (0.5 / max(width, 1e-9)), 0.0, 1.0)
    return t * t * (3 - 2 * t)
