"""From mask logits over the padded input to masks, boxes and run lengths of the original image.

:func:`interpolated_masks` says what is meant; the rest gives the same, bit by bit, without resizing whole maps.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from ultrasam.models.allocator import keep_freed_memory
from ultrasam.models.mask_parts import BlockMask, PixelMask, outlined
from ultrasam.models.resampling import Blocks, blocks_of

MASK_UPSAMPLINGS = ('binary', 'logits')

# instances resampled at once: bounds memory at four bytes a pixel of the padded input and the image each
_CHUNK = 16


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

    def blocks(self, cells_hw: Sequence[int], *, is_short: bool) -> tuple[Blocks, Blocks] | None:
        """Rows and columns for logits of so many cells; None where it is not known which cells a pixel depends on."""
        rows, columns = (
            blocks_of(int(cells), self.input_size, int(resized), int(original), is_short=is_short)
            for cells, resized, original in zip(cells_hw, self.resized_hw, self.original_hw, strict=True)
        )
        return None if rows is None or columns is None else (rows, columns)


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
        masks = torch.empty((len(parts), *self._placement.original_hw), dtype=torch.bool)
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
    def _parts(self) -> Sequence[BlockMask | PixelMask] | None:
        """Where the masks are not empty; None where it is not known which cells a pixel depends on."""
        is_binary = self._upsampling == 'binary'
        blocks = self._placement.blocks(self._logits.shape[1:], is_short=not is_binary)
        if blocks is None or self._logits.device.type != 'cpu':
            return None
        keep_freed_memory()
        if is_binary:
            return [BlockMask.of(cells, *blocks) for cells in self._logits.float().numpy() > 0]
        return [
            outlined(of_one.numpy(), *blocks) or PixelMask(_whole(of_one, self._placement))
            for of_one in self._logits.float().contiguous()
        ]


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


def _whole(logits: Tensor, placement: Placement) -> np.ndarray:
    """The mask of logits (h, w), float32, by resizing the whole map; (H, W), bool."""
    height, width = placement.resized_hw
    # a resize to the same size changes nothing that is finite
    if placement.resized_hw == placement.original_hw and all(map(math.isfinite, torch.aminmax(logits))):
        size = (placement.input_size, placement.input_size)
        once = F.interpolate(logits[None, None], size, mode='bilinear', align_corners=False)
        # numpy compares three times as fast as torch
        return once[0, 0, :height, :width].numpy() > 0
    return interpolated_masks(logits[None], placement, 'logits')[0].numpy()


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
