"""Which cells of a mask each pixel of the image depends on: two bilinear resizes with a cut between, axis by axis.

Weights are those of torch itself, found by resizing signals that tell neighbours apart, so that they are exact for
every size and version.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_CANDIDATES = 4


@dataclass(frozen=True)
class Axis:
    """How one axis of the image comes from one axis of the mask logits.

    Args:
        first: (pixels,), int64, first cell with a weight that is not zero.
        last: (pixels,), int64, last such cell.
        first_pixel: (cells,), int64, first pixel whose last cell is this one or a later one.
        last_pixel: (cells,), int64, last pixel whose first cell is this one or an earlier one.
        is_gapless: whether all cells from first to last have a weight that is not zero, and both ascend.
    """

    first: np.ndarray
    last: np.ndarray
    first_pixel: np.ndarray
    last_pixel: np.ndarray
    is_gapless: bool

    @functools.cached_property
    def is_used(self) -> np.ndarray:
        """(cells,), bool: whether some pixel depends on the cell."""
        return self.first_pixel <= self.last_pixel

    @functools.cached_property
    def uses_all(self) -> bool:
        """Whether every cell is used."""
        return bool(self.is_used.all())

    def reach(self, cells: np.ndarray) -> tuple[slice, slice]:
        """Which pixels depend on a true one of the cells (cells,), bool, all used.

        Returns:
            The cells from first to last, and their pixels; both empty where there is none.
        """
        places = np.flatnonzero(cells)
        if not len(places):
            return slice(0, 0), slice(0, 0)
        first, last = int(places[0]), int(places[-1])
        return slice(first, last + 1), slice(int(self.first_pixel[first]), int(self.last_pixel[last]) + 1)

    def unions(self, cells: np.ndarray, kept: slice, pixels: slice) -> tuple[np.ndarray, np.ndarray]:
        """What pixels see of cells.

        Args:
            cells: (kept cells, ...), bool.
            kept: which they are, of :meth:`reach`.
            pixels: of :meth:`reach`.

        Returns:
            Unions of neighbouring cells (U, ...), bool, and the row of each pixel in them.
        """
        first = np.maximum(self.first[pixels], kept.start) - kept.start
        length = np.minimum(self.last[pixels], kept.stop - 1) - kept.start - first
        rows = [cells]
        for step in range(1, int(length.max()) + 1):
            wider = rows[-1].copy()
            wider[:-step] |= cells[step:]
            rows.append(wider)
        return np.concatenate(rows), length * len(cells) + first


@functools.lru_cache(maxsize=256)
def axis_of(cells: int, input_size: int, resized: int, pixels: int) -> Axis:
    """The axis of an image: ``cells`` to ``input_size``, cut to ``resized``, to ``pixels``."""
    least, most = _ends(*taps(cells, input_size))
    first, last = _ends(*taps(min(resized, input_size), pixels))
    is_gapless = bool((least[1:] <= most[:-1] + 1).all() and (last - first <= 1).all())
    first, last = least[first], most[last]
    is_ascending = bool((np.diff(first) >= 0).all() and (np.diff(last) >= 0).all())
    every = np.arange(cells)
    return Axis(
        first,
        last,
        np.searchsorted(last, every),
        np.searchsorted(first, every, side='right') - 1,
        is_gapless and is_ascending,
    )


@functools.lru_cache(maxsize=16)
def weights_of(cells: int, input_size: int, resized: int, pixels: int) -> tuple[Tensor, Tensor]:
    """The weights of an axis: (pixels, cells), in float64 and rounded to float32."""
    cut = min(resized, input_size)
    near, far = (_dense(*taps(n, m), n) for n, m in ((cells, input_size), (cut, pixels)))
    whole = far @ near[:cut]
    return whole, whole.float()


def taps(size: int, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells and weights of one bilinear resize on the CPU.

    Args:
        size: cells.
        pixels: cells after it.

    Returns:
        Four candidate cells for each pixel (pixels, 4), int64, and their weights (pixels, 4), float32, of which two
        at most are not zero.
    """
    # each signal marks every fourth cell: what comes out is the weight of the one of them that is near
    marks = (torch.arange(size) % _CANDIDATES == torch.arange(_CANDIDATES)[:, None]).float()
    weights = F.interpolate(marks[None, :, :, None], (pixels, 1), mode='bilinear', align_corners=False)
    centre = ((np.arange(pixels) + 0.5) * (size / pixels) - 0.5).clip(0)
    index = centre.astype(np.int64)[:, None] + np.arange(-1, 3)
    of_index = np.take_along_axis(weights[0, :, :, 0].numpy().T, index % _CANDIDATES, 1)
    return index.clip(0, size - 1), np.where((index >= 0) & (index < size), of_index, np.float32(0))


def _ends(index: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last cell with a weight that is not zero: (pixels,) each."""
    is_used = weight != 0
    return (
        np.where(is_used, index, np.iinfo(np.int64).max).min(1),
        np.where(is_used, index, -1).max(1),
    )


def _dense(index: np.ndarray, weight: np.ndarray, size: int) -> Tensor:
    matrix = np.zeros((len(index), size))
    np.add.at(matrix, (np.arange(len(index))[:, None], index), weight)
    return torch.from_numpy(matrix)
