"""Masks at the size of an image, from what is certain of blocks of pixels and what has to be computed of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.models.resampling import Blocks

# what a cell is, and by their union what a block of pixels sees
_POSITIVE, _NOT_POSITIVE, _BOTH = 1, 2, 3
# roundings of two resizes, and those of our own in float32, in units of half the last place of the largest cell
_ROUNDINGS, _OUR_ROUNDINGS = 12, 24
_UNIT = 2.0**-24
_SMALLEST, _LARGEST = 1e-30, 1e30
_MOST_DOUBTS = 4096
# an object with a longer outline than that is as fast by resizing the whole map
_PIXELS_A_SIGN = 4

RunLengths = dict[str, Any]


@dataclass(frozen=True)
class BlockMask:
    """A mask whose pixels are alike within blocks.

    Args:
        inside: (columns, rows), bool, of blocks; outside of them the mask is empty.
        rows: where the blocks are, down.
        columns: where they are, across.
    """

    inside: np.ndarray
    rows: Blocks
    columns: Blocks

    @classmethod
    def of(cls, cells: np.ndarray, rows: Blocks, columns: Blocks) -> BlockMask:
        """Pixels that depend on a true one of the cells (h, w), bool."""
        rows, columns = _that_see(cells, rows, columns)
        return cls(_unions(cells, rows, columns), rows, columns)

    def paint(self, mask: np.ndarray) -> None:
        """Set the pixels of a mask (H, W), bool, that is empty."""
        if self.inside.size:
            part = _pixels_of(self.inside, self.rows, self.columns)
            top, left = self.rows.start[0], self.columns.start[0]
            mask[top : top + part.shape[0], left : left + part.shape[1]] = part

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight box, xyxy, right and bottom exclusive; zeros where the mask is empty."""
        down, across = _extent(self.inside)
        if not len(down):
            return 0, 0, 0, 0
        # the blocks are columns by rows
        left, right = self.columns.start[down[0]], self.columns.stop[down[-1]]
        top, bottom = self.rows.start[across[0]], self.rows.stop[across[-1]]
        return int(left), int(top), int(right), int(bottom)

    def run_lengths(self, size_hw: tuple[int, int]) -> RunLengths:
        """Compressed COCO run lengths of the mask of an image (height, width)."""
        owner, first, end = _column_runs(self.inside)
        starts, ends = self.rows.start[first], self.rows.stop[end - 1]
        # the runs of a block of columns again for each of them
        runs = np.bincount(owner, minlength=len(self.inside))
        widths = self.columns.stop - self.columns.start
        of_column = np.repeat(runs, widths)
        before = np.repeat(np.cumsum(runs) - runs, widths) - (np.cumsum(of_column) - of_column)
        chosen = np.arange(of_column.sum()) + np.repeat(before, of_column)
        left = self.columns.start[0] if len(self.columns) else 0
        offset = np.repeat(np.arange(left, left + len(of_column)) * size_hw[0], of_column)
        return _encoded(starts[chosen] + offset, ends[chosen] + offset, size_hw)


@dataclass(frozen=True)
class PixelMask:
    """A part of a mask outside of which it is empty.

    Args:
        pixels: (rows, columns), bool.
        top: row of the image in which it begins.
        left: column of the image in which it begins.
    """

    pixels: np.ndarray
    top: int = 0
    left: int = 0

    def paint(self, mask: np.ndarray) -> None:
        """Set the pixels of a mask (H, W), bool, that is empty."""
        height, width = self.pixels.shape
        mask[self.top : self.top + height, self.left : self.left + width] = self.pixels

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight box, xyxy, right and bottom exclusive; zeros where the mask is empty."""
        down, across = _extent(self.pixels)
        if not len(down):
            return 0, 0, 0, 0
        return self.left + across.start, self.top + down.start, self.left + across.stop, self.top + down.stop

    def run_lengths(self, size_hw: tuple[int, int]) -> RunLengths:
        """Compressed COCO run lengths of the mask of an image (height, width)."""
        columns, rows, ends = _column_runs(_transposed(self.pixels))
        offset = (columns + self.left) * size_hw[0] + self.top
        return _encoded(rows + offset, ends + offset, size_hw)


def outlined(logits: np.ndarray, rows: Blocks, columns: Blocks) -> PixelMask | None:
    """The mask of logits that are interpolated, whose sign is computed along the outline alone.

    A pixel whose cells are all positive is positive, and one whose cells are all not is not, however torch rounds.
    Elsewhere the sign is that of torch unless the value is as small as the roundings; such pixels are looked at in
    float64.

    Args:
        logits: (h, w), float32.
        rows: of the image.
        columns: of the image.

    Returns:
        None if a sign is uncertain, or the outline so long that resizing the whole map is as fast.
    """
    if not (logits.min() > -_LARGEST and logits.max() < _LARGEST):
        return None
    positive = logits > 0
    # each change between neighbours down makes at least the pixels of a cell uncertain
    if np.count_nonzero(positive[1:] != positive[:-1]) * _PIXELS_A_SIGN > logits.size:
        return None
    if (positive != (logits >= _SMALLEST)).any():
        return None
    area = rows.stop[-1] * columns.stop[-1]
    rows, columns = _that_see(positive, rows, columns)
    if not len(rows) or not len(columns):
        return PixelMask(np.zeros((0, 0), bool))
    seen = _unions(_NOT_POSITIVE - positive.view(np.uint8), rows, columns)
    is_mixed = seen == _BOTH
    shown = np.count_nonzero(is_mixed) * len(rows.pixels) * len(columns.pixels)
    if shown * _PIXELS_A_SIGN > area:
        return None
    across, down = np.divmod(np.flatnonzero(is_mixed), seen.shape[1])
    flat = (rows.cells * logits.shape[1]).take(down, -1)[:, None] + columns.cells.take(across, -1)
    cells = logits.take(flat)
    largest = np.abs(cells).max((0, 1))
    values = _interpolated(
        cells, rows.rounded_weights.take(down, -1), columns.rounded_weights.take(across, -1)
    )
    is_positive = values > 0
    is_doubtful = np.abs(values) <= (_ROUNDINGS + _OUR_ROUNDINGS) * _UNIT * largest
    if is_doubtful.any():
        doubts = np.nonzero(is_doubtful)
        signs = _signs(cells, rows.weights.take(down, -1), columns.weights.take(across, -1), doubts)
        if signs is None:
            return None
        is_positive[doubts] = signs
    pixels = _pixels_of(seen == _POSITIVE, rows, columns)
    top, left = int(rows.start[0]), int(columns.start[0])
    first = ((rows.pixels - top) * pixels.shape[1]).take(down, -1)
    place = first[:, None] + (columns.pixels - left).take(across, -1)
    pixels.ravel()[place[is_positive]] = True
    return PixelMask(pixels, top, left)


def _that_see(cells: np.ndarray, rows: Blocks, columns: Blocks) -> tuple[Blocks, Blocks]:
    """The blocks from the first to the last that may see a true one of the cells (h, w), bool."""
    down, across = _extent(cells)
    return rows.that_see(down.start, down.stop), columns.that_see(across.start, across.stop)


def _extent(mask: np.ndarray) -> tuple[range, range]:
    """Rows and columns from the first to the last that are not empty of a mask (N, M), bool."""
    if not mask.size:
        return range(0), range(0)
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return range(top, top + height), range(left, left + width)


def _unions(cells: np.ndarray, rows: Blocks, columns: Blocks) -> np.ndarray:
    """Unions of the cells (h, w), bool or uint8, that each block sees: (columns, rows)."""
    by_row = cells.take(rows.cells[0], 0)
    for further in rows.cells[1:]:
        by_row |= cells.take(further, 0)
    cells = _transposed(by_row)
    seen = cells.take(columns.cells[0], 0)
    for further in columns.cells[1:]:
        seen |= cells.take(further, 0)
    return seen


def _transposed(matrix: np.ndarray) -> np.ndarray:
    """A contiguous transpose of (N, M), bool or uint8."""
    if not matrix.size:
        return np.ascontiguousarray(matrix.T)
    return cv2.transpose(matrix.view(np.uint8)).view(matrix.dtype)


def _pixels_of(inside: np.ndarray, rows: Blocks, columns: Blocks) -> np.ndarray:
    """The pixels (H, W) of blocks (columns, rows), bool."""
    wide = np.repeat(inside, columns.stop - columns.start, 0)
    return np.repeat(_transposed(wide), rows.stop - rows.start, 0)


def _interpolated(cells: np.ndarray, of_rows: np.ndarray, of_columns: np.ndarray) -> np.ndarray:
    """Values (R, Q, P) from the cells (K, L, P) of P blocks, weights (R, K, P) of rows and (Q, L, P) of columns."""
    wide = cells[:, None, 0] * of_columns[:, 0]
    for i in range(1, cells.shape[1]):
        wide += cells[:, None, i] * of_columns[:, i]
    values = of_rows[:, None, 0] * wide[0]
    for i in range(1, cells.shape[0]):
        values += of_rows[:, None, i] * wide[i]
    return values


def _signs(
    cells: np.ndarray, of_rows: np.ndarray, of_columns: np.ndarray, doubts: tuple[np.ndarray, ...]
) -> np.ndarray | None:
    """Whether values, told by their place in :func:`_interpolated`, are positive: (N,); None if one is uncertain."""
    row, column, block = doubts
    if len(block) > _MOST_DOUBTS:
        return None
    exact = cells[..., block].astype(np.float64)
    values = (of_rows[row, :, block].T[:, None] * of_columns[column, :, block].T * exact).sum((0, 1))
    limits = _ROUNDINGS * _UNIT * np.abs(exact).max((0, 1))
    is_uncertain = (np.abs(values) <= limits) | (limits < _SMALLEST)
    return None if is_uncertain.any() else values > 0


def _column_runs(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column, start and end of all runs of columns (N, rows), bool, column by column."""
    if not columns.size:
        none = np.zeros(0, np.int64)
        return none, none, none
    # the mask begins and ends as background, so that runs are pairs of changes
    changes = np.empty((columns.shape[0], columns.shape[1] + 1), bool)
    changes[:, :1], changes[:, -1:] = columns[:, :1], columns[:, -1:]
    np.not_equal(columns[:, 1:], columns[:, :-1], out=changes[:, 1:-1])
    owner, place = np.divmod(np.flatnonzero(changes), changes.shape[1])
    return owner[::2], place[::2], place[1::2]


def _encoded(starts: np.ndarray, ends: np.ndarray, size_hw: tuple[int, int]) -> RunLengths:
    """Compressed COCO run lengths of ascending runs down the columns, of which some may touch."""
    height, width = size_hw
    is_apart = starts[1:] > ends[:-1]
    if not is_apart.all():
        starts, ends = starts[np.append(True, is_apart)], ends[np.append(is_apart, True)]
    borders = np.stack([starts, ends], 1).ravel()
    counts = np.diff(borders, prepend=0, append=height * width).astype(np.uint32)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    found: RunLengths = coco_mask.frPyObjects({'size': [height, width], 'counts': counts}, height, width)
    return found
