"""From mask logits over the padded input to masks and boxes of the original image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MASK_UPSAMPLINGS = ('binary', 'logits')

# instances enlarged at once: bounds memory at four bytes a pixel of the padded input and of the image each
_CHUNK = 16


@dataclass(frozen=True)
class ImageGeometry:
    """Where an image lies in the padded network input.

    Args:
        input_size: Side of the padded input in pixels.
        resized_hw: Height and width of the resized image within it.
        original_hw: Height and width of the original image.
        scale_xy: Factors from pixels of the original image to pixels of the padded network input.
    """

    input_size: int
    resized_hw: tuple[int, int]
    original_hw: tuple[int, int]
    scale_xy: tuple[float, float]

    def masks(self, logits: Tensor, upsampling: str) -> Tensor:
        """Enlarge mask logits to the original image, see :func:`masks_at_image_size`."""
        return masks_at_image_size(
            logits,
            input_size=self.input_size,
            resized_hw=self.resized_hw,
            original_hw=self.original_hw,
            upsampling=upsampling,
        )


def masks_at_image_size(
    logits: Tensor,
    *,
    input_size: int,
    resized_hw: tuple[int, int],
    original_hw: tuple[int, int],
    upsampling: str,
) -> Tensor:
    """Return masks at the size of the original image.

    Args:
        logits: (N, h, w), float, mask logits over the padded input.
        input_size: Side of the padded input in pixels.
        resized_hw: Height and width of the resized image within it.
        original_hw: Height and width of the original image.
        upsampling: ``'binary'`` thresholds the logits, interpolates the binary map twice and keeps every pixel that is
            not zero (the published behaviour, which dilates); ``'logits'`` interpolates the logits and thresholds
            last.

    Returns:
        (N, H, W), bool.
    """
    masks = logits.new_zeros((len(logits), *original_hw), dtype=torch.bool)
    for start in range(0, len(logits), _CHUNK):
        part = logits[start : start + _CHUNK, None].detach().float()
        if upsampling == 'binary':
            part = (part > 0).float()
        part = F.interpolate(part, (input_size, input_size), mode='bilinear', align_corners=False)
        part = part[..., : resized_hw[0], : resized_hw[1]]
        part = F.interpolate(part, tuple(original_hw), mode='bilinear', align_corners=False)
        masks[start : start + _CHUNK] = part[:, 0] > 0
    return masks


def boxes_of_masks(masks: Tensor) -> Tensor:
    """Return the tight boxes of masks.

    Args:
        masks: (N, H, W), bool.

    Returns:
        (N, 4), float32, xyxy pixels with right and bottom exclusive; zeros for an empty mask.
    """
    boxes = masks.new_zeros((len(masks), 4), dtype=torch.float32)
    if not masks.numel():
        return boxes
    for axis, along in ((0, masks.any(1)), (1, masks.any(2))):
        boxes[:, axis] = along.int().argmax(1).float()
        boxes[:, axis + 2] = along.shape[1] - along.flip(1).int().argmax(1).float()
    return boxes * masks.flatten(1).any(1, keepdim=True)
