"""From mask logits over the padded input to masks, boxes and run lengths of the original image.

:func:`interpolated_masks` says what is meant; the rest gives the same, bit by bit, without resizing whole maps.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from ultrasam.models.resampling import Axis, axis_of, weights_of

MASK_UPSAMPLINGS = ('binary', 'logits')

# instances resampled at once: bounds memory at four bytes a pixel of the padded input and the image each
_CHUNK = 16
# pixels of an axis that are interpolated at once: each block needs few cells
_BLOCK = 128
# roundings of both resizes, and those of our own in float32, in units of half the last place of the largest cell
_ROUNDINGS, _OUR_ROUNDINGS = 12, 24
_UNIT = 2.0**-24
_SMALLEST, _LARGEST = 1e-30, 1e30
_MOST_DOUBTS = 4096
# an object with a longer outline than that is as fast by resizing the whole map
_CELLS_A_CHANGE = 8


@dataclass(frozen=True)
class Placement:
    """Where mask logits lie in an image.

    Args:
        input_size: side of the padded input in pixels.
        resized_hw: height and width of the resized image within it.
        original_hw: height and width of the original image.
    """

    input_size: int
    resized_hw: tuple[int, int]
    original_hw: tuple[int, int]

    def axes(self, cells_hw: Sequence[int]) -> tuple[Axis, Axis]:
        """Rows and columns for logits of so many cells."""
        rows, columns = (axis_of(*sizes) for sizes in self._sizes(cells_hw))
        return rows, columns

    def weights(self, cells_hw: Sequence[int]) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Weights of rows and of columns, each (pixels, cells) in float64 and in float32."""
        rows, columns = (weights_of(*sizes) for sizes in self._sizes(cells_hw))
        return rows, columns

    def _sizes(self, cells_hw: Sequence[int]) -> list[tuple[int, int, int, int]]:
        return [
            (int(cells), self.input_size, int(resized), int(original))
            for cells, resized, original in zip(cells_hw, self.resized_hw, self.original_hw, strict=True)
        ]


def masks_at_image_size(
    logits: Tensor,
    *,
    input_size: int,
    resized_hw: tuple[int, int],
    original_hw: tuple[int, int],
    upsampling: str,
) -> Tensor:
    """Masks at the size of the original image.

    Args:
        logits: (N, h, h), float, mask logits over the padded input.
        input_size: side of the padded input in pixels.
        resized_hw: height and width of the resized image within it.
        original_hw: height and width of the original image.
        upsampling: ``'binary'`` thresholds the logits, interpolates the
            binary map twice and keeps every pixel that is not zero (the
            published behaviour, which dilates); ``'logits'`` interpolates the
            logits and thresholds last.

    Returns:
        (N, H, W), bool.
    """
    return ImageMasks(logits, Placement(input_size, resized_hw, original_hw), upsampling).masks


class ImageMasks:
    """Masks at the size of the original image, their boxes and their run lengths; each is made when it is asked for.

    Args:
        logits: (N, h, w), float, mask logits over the padded input.
        placement: of the image.
        upsampling: as for :func:`masks_at_image_size`.
    """

    def __init__(self, logits: Tensor, placement: Placement, upsampling: str) -> None:
        self._logits = logits.detach()
        self._placement = placement
        self._upsampling = upsampling

    @functools.cached_property
    def masks(self) -> Tensor:
        """(N, H, W), bool."""
        parts = self._parts
        if parts is None:
            return interpolated_masks(self._logits, self._placement, self._upsampling)
        masks = torch.zeros((len(parts), *self._placement.original_hw), dtype=torch.bool)
        for mask, part in zip(masks.numpy(), parts, strict=True):
            part.paint(mask)
        return masks

    @functools.cached_property
    def boxes(self) -> Tensor:
        """(N, 4), float32, xyxy pixels with right and bottom exclusive; zeros for an empty mask."""
        if self._parts is None:
            return boxes_of_masks(self.masks)
        return torch.tensor([part.box for part in self._parts], dtype=torch.float32).reshape(-1, 4)

    @functools.cached_property
    def run_lengths(self) -> list[dict[str, Any]]:
        """Compressed COCO run lengths, ``size`` and ``counts`` (bytes), equal to those of pycocotools."""
        if self._parts is None:
            return [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in self.masks.cpu().numpy()]
        height, width = self._placement.original_hw
        return [part.run_lengths((height, width)) for part in self._parts]

    @functools.cached_property
    def _parts(self) -> Sequence[_Reached | _Crop] | None:
        """Where the masks are not empty; None where it is not known which cells a pixel depends on."""
        rows, columns = self._placement.axes(self._logits.shape[1:])
        if self._logits.device.type != 'cpu' or not (rows.is_gapless and columns.is_gapless):
            return None
        if self._upsampling == 'binary':
            return [_Reached.of(cells, rows, columns) for cells in (self._logits > 0).numpy()]
        return [_crop(of_one, self._placement) for of_one in self._logits.float()]


def interpolated_masks(logits: Tensor, placement: Placement, upsampling: str) -> Tensor:
    """:func:`masks_at_image_size` by two resizes of whole maps, in float32.

    Args:
        logits: (N, h, w), float, mask logits over the padded input.
        placement: of the image.
        upsampling: as there.

    Returns:
        (N, H, W), bool.
    """
    masks = logits.new_zeros((len(logits), *placement.original_hw), dtype=torch.bool)
    height, width = placement.resized_hw
    for start in range(0, len(logits), _CHUNK):
        part = logits[start : start + _CHUNK, None].float()
        if upsampling == 'binary':
            part = (part > 0).float()
        part = F.interpolate(part, (placement.input_size,) * 2, mode='bilinear', align_corners=False)
        part = part[..., :height, :width]
        part = F.interpolate(part, tuple(placement.original_hw), mode='bilinear', align_corners=False)
        masks[start : start + _CHUNK] = part[:, 0] > 0
    return masks


@dataclass(frozen=True)
class _Reached:
    """The part of a thresholded mask that has cells, and the pixels that depend on it.

    Args:
        cells: (rows, columns), bool, from the first to the last that matter.
        kept: which rows and columns of the mask they are.
        pixels: the rows and columns of the image that depend on them.
        axes: of the image, rows and columns.
    """

    cells: np.ndarray
    kept: tuple[slice, slice]
    pixels: tuple[slice, slice]
    axes: tuple[Axis, Axis]

    @classmethod
    def of(cls, cells: np.ndarray, rows: Axis, columns: Axis) -> _Reached:
        """Of the cells (h, w), bool, of one mask."""
        if not (rows.uses_all and columns.uses_all):
            cells = cells & rows.is_used[:, None] & columns.is_used
        kept_rows, down = rows.reach(np.any(cells, axis=1))
        kept_columns, across = columns.reach(np.any(cells, axis=0))
        return cls(cells[kept_rows, kept_columns], (kept_rows, kept_columns), (down, across), (rows, columns))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Box of the pixels, xyxy, right and bottom exclusive."""
        down, across = self.pixels
        return across.start, down.start, across.stop, down.stop

    @functools.cached_property
    def _columns_seen(self) -> tuple[np.ndarray, np.ndarray]:
        """Unions of columns of cells (U, rows), and which of them each column of pixels sees."""
        return self.axes[1].unions(np.ascontiguousarray(self.cells.T), self.kept[1], self.pixels[1])

    def paint(self, mask: np.ndarray) -> None:
        """Set the pixels of a mask (H, W), bool, that is empty."""
        if not self.cells.size:
            return
        seen, index = self._columns_seen
        seen, index = self.axes[0].unions(np.ascontiguousarray(seen[index].T), self.kept[0], self.pixels[0])
        mask[self.pixels] = seen[index]

    def run_lengths(self, size_hw: tuple[int, int]) -> dict[str, Any]:
        """Compressed COCO run lengths of the mask of an image (height, width), from the runs of its cells."""
        if not self.cells.size:
            return _encoded(np.zeros(0, np.int64), np.zeros(0, np.int64), size_hw)
        rows, across = self.axes[0], self.pixels[1]
        seen, index = self._columns_seen
        owner, first, end = _column_runs(seen)
        start = self.kept[0].start
        starts, ends = rows.first_pixel[start + first], rows.last_pixel[start + end - 1] + 1
        runs = np.bincount(owner, minlength=len(seen))
        of_column, before = runs[index], (np.cumsum(runs) - runs)[index]
        within = np.arange(of_column.sum()) - np.repeat(np.cumsum(of_column) - of_column, of_column)
        chosen = np.repeat(before, of_column) + within
        offset = np.repeat(np.arange(across.start, across.stop) * size_hw[0], of_column)
        return _encoded(starts[chosen] + offset, ends[chosen] + offset, size_hw)


def _encoded(starts: np.ndarray, ends: np.ndarray, size_hw: tuple[int, int]) -> dict[str, Any]:
    """Compressed COCO run lengths of ascending runs down the columns, some empty, touching or overlapping."""
    height, width = size_hw
    is_some = starts < ends
    if not is_some.all():
        starts, ends = starts[is_some], ends[is_some]
    is_apart = starts[1:] > ends[:-1]
    borders = (
        np.stack([starts[np.append(True, is_apart)], ends[np.append(is_apart, True)]], 1)
        if len(starts)
        else ends
    )
    counts = np.diff(borders.ravel(), prepend=0, append=height * width)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    whole: dict[str, Any] = coco_mask.frPyObjects(
        {'size': [height, width], 'counts': counts.tolist()}, height, width
    )
    return whole


@dataclass(frozen=True)
class _Crop:
    """A part of a mask outside of which it is empty.

    Args:
        pixels: (rows, columns), bool.
        top: row of the image in which it begins.
        left: column of the image in which it begins.
    """

    pixels: np.ndarray
    top: int
    left: int

    def paint(self, mask: np.ndarray) -> None:
        """Set the pixels of a mask (H, W), bool, that is empty."""
        height, width = self.pixels.shape
        mask[self.top : self.top + height, self.left : self.left + width] = self.pixels

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Tight box, xyxy, right and bottom exclusive; zeros where the mask is empty."""
        rows, columns = np.flatnonzero(self.pixels.any(1)), np.flatnonzero(self.pixels.any(0))
        if not len(rows):
            return 0, 0, 0, 0
        left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return self.left + int(left), self.top + int(top), self.left + int(right), self.top + int(bottom)

    def run_lengths(self, size_hw: tuple[int, int]) -> dict[str, Any]:
        """Compressed COCO run lengths of the mask of an image (height, width)."""
        columns, rows, ends = _column_runs(self.pixels.T)
        offset = (columns + self.left) * size_hw[0] + self.top
        return _encoded(rows + offset, ends + offset, size_hw)


def _column_runs(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column, start and end of all runs of columns (N, rows), bool, column by column."""
    # a cell of background on both sides of each column, so that its runs are pairs of changes
    closed = np.zeros((columns.shape[0], columns.shape[1] + 2), bool)
    closed[:, 1:-1] = columns
    owner, place = np.divmod(np.flatnonzero(closed[:, 1:] != closed[:, :-1]), columns.shape[1] + 1)
    return owner[::2], place[::2], place[1::2]


def _crop(logits: Tensor, placement: Placement) -> _Crop:
    """The mask of logits (h, w), float32, interpolated where they can be positive if that is less work."""
    inside = (logits > 0).numpy()
    changes = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    found = _interpolated_crop(logits, placement) if changes * _CELLS_A_CHANGE < inside.size else None
    return found or _Crop(_whole(logits, placement), 0, 0)


def _whole(logits: Tensor, placement: Placement) -> np.ndarray:
    """The mask of logits (h, w), float32, by resizing the whole map; (H, W), bool."""
    height, width = placement.resized_hw
    # a resize to the same size changes nothing that is finite
    if placement.resized_hw == placement.original_hw and bool(torch.isfinite(logits).all()):
        size = (placement.input_size, placement.input_size)
        once = F.interpolate(logits[None, None], size, mode='bilinear', align_corners=False)
        return (once[0, 0, :height, :width] > 0).numpy()
    return interpolated_masks(logits[None], placement, 'logits')[0].numpy()


def _interpolated_crop(logits: Tensor, placement: Placement) -> _Crop | None:
    """The same, or None if a sign is uncertain.

    A pixel whose cells are all negative or zero is not positive, however it is rounded. Elsewhere the sign is that of
    torch unless the value is as small as the roundings; such pixels are looked at in float64.
    """
    bound = float(logits.abs().max())
    if not bound < _LARGEST:
        return None
    rows, columns = placement.axes(logits.shape)
    left, top, right, bottom = _Reached.of((logits > 0).numpy(), rows, columns).box
    (exact_down, down), (exact_across, across) = placement.weights(logits.shape)
    wide = torch.empty(len(logits), right - left)
    for start in range(left, right, _BLOCK):
        end = min(start + _BLOCK, right)
        cells = slice(int(columns.first[start]), int(columns.last[end - 1]) + 1)
        wide[:, start - left : end - left] = logits[:, cells] @ across[start:end, cells].t()
    limit = (_ROUNDINGS + _OUR_ROUNDINGS) * _UNIT * bound
    pixels = torch.empty(bottom - top, right - left, dtype=torch.bool)
    for start in range(top, bottom, _BLOCK):
        end = min(start + _BLOCK, bottom)
        cells = slice(int(rows.first[start]), int(rows.last[end - 1]) + 1)
        values = down[start:end, cells] @ wide[cells]
        found = torch.gt(values, limit, out=pixels[start - top : end - top])
        doubtful = found != (values >= -limit)
        if doubtful.any():
            y, x = doubtful.nonzero(as_tuple=True)
            signs = _signs(logits, exact_down[y + start], exact_across[x + left])
            if signs is None:
                return None
            found[y, x] = signs
    return _Crop(pixels.numpy(), top, left)


def _signs(logits: Tensor, down: Tensor, across: Tensor) -> Tensor | None:
    """Whether pixels with weights (P, h) and (P, w), float64, are positive: (P,), bool; None if one is uncertain."""
    if len(down) > _MOST_DOUBTS:
        return None
    cells = logits.double()
    values = ((down @ cells) * across).sum(1)
    limits = _ROUNDINGS * _UNIT * ((down @ cells.abs()) * across).sum(1)
    is_uncertain = (limits > 0) & ((values.abs() <= limits) | (limits < _SMALLEST))
    return None if bool(is_uncertain.any()) else values > 0


def boxes_of_masks(masks: Tensor) -> Tensor:
    """Tight boxes of masks.

    Args:
        masks: (N, H, W), bool.

    Returns:
        (N, 4), float32, xyxy pixels with right and bottom exclusive; zeros
        for an empty mask.
    """
    boxes = masks.new_zeros((len(masks), 4), dtype=torch.float32)
    if not masks.numel():
        return boxes
    for axis, along in ((0, masks.any(1)), (1, masks.any(2))):
        boxes[:, axis] = along.int().argmax(1).float()
        boxes[:, axis + 2] = along.shape[1] - along.flip(1).int().argmax(1).float()
    return boxes * masks.flatten(1).any(1, keepdim=True)
