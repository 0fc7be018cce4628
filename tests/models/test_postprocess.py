"""Masks, boxes and run lengths equal those of two resizes of whole maps, bit by bit, at every size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask

import ultrasam.models.postprocess as postprocess_module
from ultrasam.models.postprocess import (
    MASK_UPSAMPLINGS,
    ImageMasks,
    Placement,
    boxes_of_masks,
    interpolated_masks,
    masks_at_image_size,
)
from ultrasam.models.resampling import blocks_of, taps, weights_of


def smooth(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """Logits of round objects with wavy edges, cut by the border at times."""
    waves = F.interpolate(
        torch.randn(count, 1, 6, 6, generator=generator), (size, size), mode='bicubic', align_corners=False
    )[:, 0]
    along = torch.linspace(-1, 1, size)
    shift = torch.rand(count, 2, generator=generator) - 0.5
    distance = (
        (along[None, :, None] - shift[:, :1, None]).square() + (along - shift[:, 1:, None]).square()
    ).sqrt()
    return 2 * waves - 10 * (distance - 0.4)


def logits_of(kind: str, size: int, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(2, size, size, generator=generator)
    return {
        'smooth': lambda: smooth(2, size, generator),
        'noise': lambda: noise,
        'single cells': lambda: (noise > 2).float() - 0.5,
        'zeros and ones': lambda: (noise > 2).float(),
        'all': lambda: noise.abs() + 0.01,
        'none': lambda: -noise.abs(),
        'tiny': lambda: noise * 1e-38,
        'not finite': lambda: noise / (noise.abs() > 0.05).float(),
    }[kind]()


KINDS = ('smooth', 'noise', 'single cells', 'zeros and ones', 'all', 'none', 'tiny', 'not finite')


def placements(count: int) -> list[tuple[int, Placement]]:
    """Cells and sizes: enlarged, reduced, equal, thin, of every aspect."""
    rng = np.random.default_rng(7)
    found = [(64, Placement(256, (256, 256), (256, 256))), (64, Placement(256, (1, 256), (3, 700)))]
    while len(found) < count:
        cells = int(rng.choice([8, 16, 64]))
        resized = [4 * cells, int(rng.integers(1, 4 * cells + 1))]
        if rng.random() < 0.5:
            resized.reverse()
        scale = rng.choice([0.13, 0.5, 0.77, 1.0, 1.3, 2.0, 2.6])
        original = [max(1, int(side * scale)) for side in resized]
        if rng.random() < 0.3:
            original = rng.integers(1, 6 * cells, 2).tolist()
        found.append((cells, Placement(4 * cells, (resized[0], resized[1]), (original[0], original[1]))))
    return found


@pytest.mark.parametrize('upsampling', MASK_UPSAMPLINGS)
@pytest.mark.parametrize('kind', KINDS)
def test_equal_to_resizing_whole_maps(kind: str, upsampling: str) -> None:
    generator = torch.Generator().manual_seed(3)
    for cells, placement in placements(24):
        logits = logits_of(kind, cells, generator)
        wanted = interpolated_masks(logits, placement, upsampling)
        found = ImageMasks(logits, placement, upsampling)
        assert torch.equal(found.masks, wanted), placement
        assert torch.equal(found.boxes, boxes_of_masks(wanted)), placement
        encoded = [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in wanted.numpy()]
        assert found.run_lengths == encoded, placement


def test_nothing_whole_is_resized_for_ordinary_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError('a whole map was resized')

    placement = Placement(256, (192, 256), (300, 400))
    logits = smooth(2, 64, torch.Generator().manual_seed(0))
    wanted = [interpolated_masks(logits, placement, upsampling) for upsampling in MASK_UPSAMPLINGS]
    monkeypatch.setattr(postprocess_module, 'interpolated_masks', refuse)
    monkeypatch.setattr(postprocess_module, '_whole', refuse)
    for upsampling, masks in zip(MASK_UPSAMPLINGS, wanted, strict=True):
        assert torch.equal(ImageMasks(logits, placement, upsampling).masks, masks)


def test_doubtful_signs_are_left_to_torch() -> None:
    # values that cancel exactly: whether rounding leaves something is for torch to say
    logits = torch.tensor([[0.1, -0.3], [0.7, -0.5]]).repeat(8, 8)[None] / 3
    for original in ((64, 64), (37, 41), (128, 100)):
        placement = Placement(64, (64, 64), original)
        wanted = interpolated_masks(logits, placement, 'logits')
        assert torch.equal(ImageMasks(logits, placement, 'logits').masks, wanted)


def test_no_instance() -> None:
    placement = Placement(64, (48, 64), (30, 40))
    for upsampling in MASK_UPSAMPLINGS:
        found = ImageMasks(torch.zeros(0, 16, 16), placement, upsampling)
        assert found.masks.shape == (0, 30, 40)
        assert found.masks.dtype == torch.bool
        assert found.boxes.shape == (0, 4)
        assert found.run_lengths == []


def test_half_precision_is_read_as_float32() -> None:
    logits = smooth(2, 16, torch.Generator().manual_seed(1)).bfloat16()
    sizes = dict(input_size=64, resized_hw=(50, 64), original_hw=(77, 99))
    for upsampling in MASK_UPSAMPLINGS:
        wanted = interpolated_masks(logits, Placement(**sizes), upsampling)
        assert torch.equal(masks_at_image_size(logits, upsampling=upsampling, **sizes), wanted)


@pytest.mark.parametrize('size, pixels', [(16, 64), (64, 64), (64, 63), (1000, 17), (3, 500), (1, 9), (9, 1)])
def test_weights_are_those_of_torch(size: int, pixels: int) -> None:
    index, weight = taps(size, pixels)
    matrix = np.zeros((pixels, size), np.float32)
    np.add.at(matrix, (np.arange(pixels)[:, None], index), weight)
    every = torch.eye(size)[None, :, :, None]
    wanted = F.interpolate(every, (pixels, 1), mode='bilinear', align_corners=False)[0, :, :, 0].T
    assert np.array_equal(matrix, wanted.numpy())


@pytest.mark.parametrize(
    'sizes', [(16, 64, 50, 33), (16, 64, 64, 64), (16, 64, 50, 211), (8, 32, 1, 5), (64, 256, 256, 9)]
)
@pytest.mark.parametrize('is_short', [False, True])
def test_a_block_knows_its_pixels_and_their_cells(sizes: tuple[int, int, int, int], is_short: bool) -> None:
    blocks, wanted = blocks_of(*sizes, is_short=is_short), weights_of(*sizes)
    assert blocks is not None
    found = np.zeros_like(wanted)
    for i, (start, stop) in enumerate(pairwise(blocks.edges)):
        assert set(blocks.pixels[:, i]) == set(range(start, stop))
        used = np.flatnonzero(wanted[start])
        assert (blocks.cells[0, i], blocks.cells[-1, i]) == (used[0], used[-1])
        for pixel, weights in zip(blocks.pixels[:, i], blocks.weights[:, :, i], strict=True):
            found[pixel] = 0
            np.add.at(found[pixel], blocks.cells[:, i], weights)
    assert np.array_equal(found, wanted)
