"""Instance masks of mmdet that are drawn at the size that somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks

from ultrasam.masks.cropped import CroppedMask


class CroppedMasks(BitmapMasks):
    """mmdet's ``BitmapMasks`` that draws its bitmaps when they are asked for.

    Selection, flips, crops and nearest-neighbour resizes stay as they are, pixel by pixel, and cost no pass over the
    image; whatever else mmdet does with masks happens to the drawn bitmaps and returns ``BitmapMasks``.

    Args:
        items: one mask an instance, each of the frame of ``height`` rows and ``width`` columns.
        height: rows.
        width: columns.
    """

    def __init__(self, items: Sequence[CroppedMask], height: int, width: int) -> None:
        self.items = list(items)
        self.height = height
        self.width = width

    @property
    def masks(self) -> np.ndarray:
        """Bitmaps (N, H, W), uint8, drawn anew each time."""
        if not self.items:
            return np.empty((0, self.height, self.width), np.uint8)
        return np.stack([item.drawn() for item in self.items])

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> CroppedMasks:
        """Masks of an index, a slice, or an array of indices or flags."""
        chosen = np.atleast_1d(np.arange(len(self.items))[index])
        return CroppedMasks([self.items[i] for i in chosen], self.height, self.width)

    def flip(self, flip_direction: str = 'horizontal') -> CroppedMasks:
        """Mirror left and right, top and bottom, or both (``'diagonal'``)."""
        back = slice(None, None, -1)
        rows = back if flip_direction in ('vertical', 'diagonal') else slice(None)
        columns = back if flip_direction in ('horizontal', 'diagonal') else slice(None)
        return self._taken(rows, columns, self.height, self.width)

    def rescale(self, scale: float | tuple[int, int], interpolation: str = 'nearest') -> BitmapMasks:
        """Resize as far as the scale (longest side, shortest side) or factor says."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> BitmapMasks:
        """Resize to (H, W)."""
        if interpolation != 'nearest':
            return BitmapMasks(self.masks, self.height, self.width).resize(out_shape, interpolation)
        height, width = out_shape
        return self._taken(_nearest(self.height, height), _nearest(self.width, width), height, width)

    def crop(self, bbox: np.ndarray) -> CroppedMasks:
        """Crop to a box (4,), int, xyxy, of at least one pixel."""
        x1, x2 = np.clip(bbox[0::2], 0, self.width).tolist()
        y1, y2 = np.clip(bbox[1::2], 0, self.height).tolist()
        height, width = max(y2 - y1, 1), max(x2 - x1, 1)
        return self._taken(slice(y1, y1 + height), slice(x1, x1 + width), height, width)

    def visible(self, size_hw: tuple[int, int]) -> CroppedMasks:
        """Without what lies beyond so many rows and columns."""
        height, width = min(size_hw[0], self.height), min(size_hw[1], self.width)
        return self._taken(slice(height), slice(width), height, width)

    def targets(self, input_size: int, target_size: int) -> np.ndarray:
        """Masks over the padded input, reduced bilinearly and rounded half to even: (N, T, T), uint8.

        A reduction by an even factor averages the four middle pixels of each cell, by an odd one it takes the middle
        pixel; only those are drawn.

        Args:
            input_size: side of the padded network input in pixels.
            target_size: side T of the mask logits; divides ``input_size``.

        Raises:
            ValueError: it does not divide it.
        """
        factor, rest = divmod(input_size, target_size)
        if rest:
            raise ValueError(f'target_size={target_size} does not divide input_size={input_size}')
        out = np.zeros((len(self.items), target_size, target_size), np.uint8)
        middle = [factor // 2] if factor % 2 else [factor // 2 - 1, factor // 2]
        places = np.add.outer(np.arange(target_size) * factor, middle).reshape(-1)
        rows, columns = (places[places < size] for size in (self.height, self.width))
        for item, target in zip(self.items, out, strict=True):
            _reduce(item.taken(rows, columns).drawn(), len(middle), target)
        return out

    @property
    def areas(self) -> np.ndarray:
        """Foreground pixels of each mask, (N,)."""
        return np.array([item.row_counts().sum() for item in self.items], np.uint64)

    def to_ndarray(self) -> np.ndarray:
        """Bitmaps (N, H, W), uint8."""
        return self.masks

    def to_tensor(self, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
        """Bitmaps (N, H, W) as a tensor."""
        return torch.from_numpy(self.masks).to(device=device, dtype=dtype)

    def __iter__(self) -> Any:
        return iter(self.masks)

    @classmethod
    def cat(cls, masks: Sequence[BitmapMasks]) -> BitmapMasks:
        """Masks of one frame in one structure."""
        return BitmapMasks.cat(masks)

    def _taken(
        self, rows: np.ndarray | slice, columns: np.ndarray | slice, height: int, width: int
    ) -> CroppedMasks:
        return CroppedMasks([item.taken(rows, columns) for item in self.items], height, width)


def cropped(masks: BitmapMasks) -> CroppedMasks:
    """The same masks, kept as crops."""
    if isinstance(masks, CroppedMasks):
        return masks
    return CroppedMasks([CroppedMask.of_mask(mask) for mask in masks.masks], masks.height, masks.width)


def _nearest(size: int, wanted: int) -> np.ndarray:
    """Indices (wanted,) that a nearest-neighbour resize of OpenCV takes along an axis."""
    # the inverse of the inverse factor, as OpenCV computes it: rounding decides at the edges of pixels
    return np.minimum((np.arange(wanted) * (1 / (wanted / size))).astype(np.int64), size - 1)


def _reduce(mask: np.ndarray, taken: int, target: np.ndarray) -> None:
    """Write a mask, of which ``taken`` rows and columns of each cell are left, into its target."""
    if taken == 1:
        target[: mask.shape[0], : mask.shape[1]] = mask
        return
    # a cell at the edge of the image may have its first row or column only
    rows = mask[0::2].copy()
    rows[: len(mask) // 2] += mask[1::2]
    cells = rows[:, 0::2].copy()
    cells[:, : mask.shape[1] // 2] += rows[:, 1::2]
    # half of four is rounded to the even 0
    np.greater(cells, 2, out=target[: cells.shape[0], : cells.shape[1]].view(bool))
