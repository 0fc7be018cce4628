"""Mask logits become masks and boxes of the image."""

from __future__ import annotations

import pytest
import torch

from ultrasam.models.postprocess import MASK_UPSAMPLINGS, boxes_of_masks, masks_at_image_size


@pytest.mark.parametrize('upsampling', MASK_UPSAMPLINGS)
def test_more_instances_than_are_enlarged_at_once(upsampling: str) -> None:
    logits = torch.randn(35, 16, 16, generator=torch.Generator().manual_seed(0))
    sizes = dict(input_size=64, resized_hw=(50, 64), original_hw=(77, 99), upsampling=upsampling)
    together = masks_at_image_size(logits, **sizes)
    assert together.shape == (35, 77, 99)
    assert together.dtype == torch.bool
    for i in (0, 17, 34):
        assert torch.equal(together[i], masks_at_image_size(logits[i : i + 1], **sizes)[0])


@pytest.mark.parametrize('upsampling', MASK_UPSAMPLINGS)
def test_half_precision_is_read_as_float32(upsampling: str) -> None:
    logits = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(1)).bfloat16()
    sizes = dict(input_size=64, resized_hw=(50, 64), original_hw=(77, 99), upsampling=upsampling)
    assert torch.equal(masks_at_image_size(logits, **sizes), masks_at_image_size(logits.float(), **sizes))


def test_binary_masks_are_dilated_and_those_of_logits_are_not() -> None:
    logits = torch.full((1, 16, 16), -1.0)
    logits[:, 4:8, 4:8] = 1
    sizes = dict(input_size=64, resized_hw=(64, 64), original_hw=(64, 64))
    binary, of_logits = (
        int(masks_at_image_size(logits, upsampling=name, **sizes).sum()) for name in MASK_UPSAMPLINGS
    )
    # two pixels on every side; the corners of a square are cut
    assert (binary, of_logits) == (20 * 20, 16 * 16 - 4)


def test_boxes_are_tight() -> None:
    masks = torch.zeros(3, 20, 30, dtype=torch.bool)
    masks[0, 4:7, 10:12] = True
    masks[2, 19, 29] = True
    assert boxes_of_masks(masks).tolist() == [[10, 4, 12, 7], [0, 0, 0, 0], [29, 19, 30, 20]]
    assert boxes_of_masks(torch.zeros(0, 20, 30, dtype=torch.bool)).shape == (0, 4)
