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
        inside: (columns, rows + 1), bool, of blocks; outside of them the mask is empty. The last row is no row of
            blocks: it is empty, so that what reaches down to it ends there.
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
        """Write all pixels of a mask (H, W), bool, contiguous."""
        if not len(self.rows) or not len(self.columns):
            mask[:] = False
            return
        top, bottom = self.rows.edges[0], self.rows.edges[-1]
        mask[:top], mask[bottom:] = False, False
        by_row = np.zeros((len(self.rows) + 1, mask.shape[1]), np.uint8)
        wide = self.inside.repeat(self.columns.lengths, 0)
        cv2.transpose(wide.view(np.uint8), dst=by_row[:, self.columns.edges[0] : self.columns.edges[-1]])
        # of the modes of numpy the one that writes in place
        by_row.view(bool).take(self.rows.owners, 0, out=mask[top:bottom], mode='clip')

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight box, xyxy, right and bottom exclusive; zeros where the mask is empty."""
        # the blocks are columns by rows
        across, down = _extent(self.inside)
        if not len(down):
            return 0, 0, 0, 0
        left, right = self.columns.edges[across.start], self.columns.edges[across.stop]
        top, bottom = self.rows.edges[down.start], self.rows.edges[down.stop]
        return int(left), int(top), int(right), int(bottom)

    def run_lengths(self, size_hw: tuple[int, int]) -> RunLengths:
        """Compressed COCO run lengths of the mask of an image (height, width)."""
        owner, borders = _column_runs(self.inside)
        runs = np.bincount(owner[::2], minlength=len(self.inside))
        # the runs of a block of columns again for each of them
        widths = self.columns.lengths
        of_column = runs.repeat(widths)
        ends = of_column.cumsum()
        before = (runs.cumsum() - runs).repeat(widths) - (ends - of_column)
        chosen: np.ndarray = np.arange(int(of_column.sum())) + before.repeat(of_column)
        offset = np.arange(self.columns.edges[0], self.columns.edges[-1]) * size_hw[0]
        runs_of_pixels = self.rows.edges.take(borders).reshape(-1, 2).take(chosen, 0)
        return _encoded((runs_of_pixels + offset.repeat(of_column)[:, None]).ravel(), size_hw)


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
        """Write all pixels of a mask (H, W), bool."""
        bottom, right = self.top + self.pixels.shape[0], self.left + self.pixels.shape[1]
        mask[: self.top], mask[bottom:] = False, False
        mask[self.top : bottom, : self.left], mask[self.top : bottom, right:] = False, False
        mask[self.top : bottom, self.left : right] = self.pixels

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight box, xyxy, right and bottom exclusive; zeros where the mask is empty."""
        down, across = _extent(self.pixels)
        if not len(down):
            return 0, 0, 0, 0
        return self.left + across.start, self.top + down.start, self.left + across.stop, self.top + down.stop

    def run_lengths(self, size_hw: tuple[int, int]) -> RunLengths:
        """Compressed COCO run lengths of the mask of an image (height, width)."""
        columns, rows = _column_runs(_columns_of(self.pixels))
        return _encoded((columns + self.left) * size_hw[0] + (rows + self.top), size_hw)


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
    area = rows.edges[-1] * columns.edges[-1]
    rows, columns = _that_see(positive, rows, columns)
    if not len(rows) or not len(columns):
        return PixelMask(np.zeros((0, 0), bool))
    seen = _unions(_NOT_POSITIVE - positive.view(np.uint8), rows, columns)
    is_mixed = seen == _BOTH
    shown = np.count_nonzero(is_mixed) * len(rows.pixels) * len(columns.pixels)
    if shown * _PIXELS_A_SIGN > area:
        return None
    across, down = _places(is_mixed)
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
    top, left = int(rows.edges[0]), int(columns.edges[0])
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
    """Unions of the cells (h, w), bool or uint8, that each block sees: (columns, rows + 1), the last row empty."""
    by_row = cells.take(rows.cells[0], 0)
    for further in rows.cells[1:]:
        by_row |= cells.take(further, 0)
    cells = _columns_of(by_row)
    seen = cells.take(columns.cells[0], 0)
    for further in columns.cells[1:]:
        seen |= cells.take(further, 0)
    return seen


def _columns_of(matrix: np.ndarray) -> np.ndarray:
    """The columns of a matrix (N, M), bool or uint8, each with a zero behind it: (M, N + 1), contiguous."""
    found = np.empty((matrix.shape[1], matrix.shape[0] + 1), matrix.dtype)
    found[:, -1] = 0
    if matrix.size:
        cv2.transpose(matrix.view(np.uint8), dst=found[:, :-1].view(np.uint8))
    return found


def _pixels_of(inside: np.ndarray, rows: Blocks, columns: Blocks) -> np.ndarray:
    """The pixels (H, W) of blocks (columns, rows + 1), bool, of which the last row is none; there are some."""
    wide = inside.repeat(columns.lengths, 0)
    return cv2.transpose(wide.view(np.uint8)).view(bool)[:-1].repeat(rows.lengths, 0)


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


def _column_runs(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of the start and the end of all runs of columns (N, rows + 1), bool, of which the last is empty.

    Returns:
        (2R,) each, int64: start and end in turns, column by column.
    """
    changes = np.empty(columns.shape, bool)
    flat = columns.ravel()
    changes.ravel()[:1] = flat[:1]
    np.not_equal(flat[1:], flat[:-1], out=changes.ravel()[1:])
    return _places(changes)


def _places(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is true in a matrix, bool, contiguous: (N,) each, int64."""
    found = np.flatnonzero(matrix)
    # faster than divmod
    first = found // matrix.shape[1]
    return first, found - first * matrix.shape[1]


def _encoded(borders: np.ndarray, size_hw: tuple[int, int]) -> RunLengths:
    """Compressed COCO run lengths of ascending runs down the columns, start and end in turns; some may touch."""
    height, width = size_hw
    is_apart = borders[2::2] > borders[1:-1:2]
    if not is_apart.all():
        kept = np.repeat(is_apart, 2)
        borders = np.concatenate([borders[:1], borders[1:-1][kept], borders[-1:]])
    counts = np.empty(len(borders) + 1, np.uint32)
    counts[:-1], counts[-1] = borders, height * width
    counts[1:] -= counts[:-1].copy()
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    found: RunLengths = coco_mask.frPyObjects({'size': [height, width], 'counts': counts}, height, width)
    return found
