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

_CANDIDATES = 4
# in pixels of it
_COST_OF_A_BLOCK = 2


@dataclass(frozen=True)
class Blocks:
    """Runs of neighbouring pixels of one axis that depend on the same cells: S of them, in order.

    Args:
        edges: (S + 1,), int64, first pixel of each, and the one after the last; R pixels at most between two.
        pixels: (R, S), int32, pixels of each; one with fewer than R has its last again.
        cells: (K, S), int64, the cells that it depends on; one with fewer than K has its last again.
        weights: (R, K, S), float64, of its pixels and cells; zero for cells that are there again.
        rounded_weights: the same in float32.
    """

    edges: np.ndarray
    pixels: np.ndarray
    cells: np.ndarray
    weights: np.ndarray
    rounded_weights: np.ndarray

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Pixels of each: (S,), int64."""
        return self.edges[1:] - self.edges[:-1]

    @property
    def owners(self) -> np.ndarray:
        """Which of them each pixel from the first edge to the last belongs to, int64."""
        found: np.ndarray = np.arange(len(self)).repeat(self.lengths)
        return found

    def that_see(self, first: int, end: int) -> Blocks:
        """Those from the first to the last that depend on one of the cells from ``first`` to before ``end``."""
        part = slice(int(self.cells[-1].searchsorted(first)), int(self.cells[0].searchsorted(end)))
        return Blocks(
            self.edges[part.start : part.stop + 1],
            self.pixels[:, part],
            self.cells[:, part],
            self.weights[..., part],
            self.rounded_weights[..., part],
        )


@functools.lru_cache(maxsize=256)
def blocks_of(cells: int, input_size: int, resized: int, pixels: int, *, is_short: bool) -> Blocks | None:
    """The blocks of an axis of the image: ``cells`` to ``input_size``, cut to ``resized``, to ``pixels``.

    Args:
        cells: of the mask logits.
        input_size: side of the padded input in pixels.
        resized: pixels of the resized image.
        pixels: of the image.
        is_short: cut long blocks, so that all are about equally long: where each of their pixels is to be computed.

    Returns:
        None if a pixel does not depend on all cells from its first to its last, or they do not ascend.
    """
    least, most = _ends(*taps(cells, input_size))
    near, far = _ends(*taps(min(resized, input_size), pixels))
    first, last = least[near], most[far]
    is_gapless = (least[1:] <= most[:-1] + 1).all() and (far - near <= 1).all()
    if not is_gapless or (np.diff(first) < 0).any() or (np.diff(last) < 0).any():
        return None
    weights = weights_of(cells, input_size, resized, pixels)
    start = np.flatnonzero(np.diff(first, prepend=-1) | np.diff(last, prepend=-1))
    if is_short:
        start = _short_runs(start, pixels)
    edges = np.append(start, pixels)
    lowest, highest = first[start], last[start]
    wanted = lowest + np.arange((highest - lowest).max() + 1)[:, None]
    seen = np.minimum(wanted, highest)
    shown = np.minimum(start + np.arange(np.diff(edges).max())[:, None], edges[1:] - 1)
    exact = np.where(wanted <= highest, weights[shown[:, None], seen], 0.0)
    return Blocks(edges, shown.astype(np.int32), seen, exact, exact.astype(np.float32))


def _short_runs(start: np.ndarray, end: int) -> np.ndarray:
    """Starts of runs up to an end, of which long ones are cut so that few pixels are missing to the longest."""
    length = np.diff(start, append=end)
    # as all are treated alike, each costs as much as the longest, and something beside
    cost = {
        most: (-(-length // most)).sum() * (most + _COST_OF_A_BLOCK) for most in range(1, length.max() + 1)
    }
    most = min(cost, key=lambda most: cost[most])
    pieces = -(-length // most)
    within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.repeat(start, pieces) + most * within


def weights_of(cells: int, input_size: int, resized: int, pixels: int) -> np.ndarray:
    """The weights of an axis: (pixels, cells), float64."""
    cut = min(resized, input_size)
    near, far = (_dense(*taps(n, m), n) for n, m in ((cells, input_size), (cut, pixels)))
    return far @ near[:cut]


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


def _dense(index: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    matrix = np.zeros((len(index), size))
    np.add.at(matrix, (np.arange(len(index))[:, None], index), weight)
    return matrix
