"""Run lengths in bulk against pycocotools, and damaged ones that it must never see."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ultrasam.masks.run_lengths import measure_masks


def random_masks(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    masks = []
    for number in range(60):
        size = tuple(rng.integers(1, 70, 2))
        mask = rng.random(size) < rng.random()
        if number % 3 == 0:
            mask[:] = False
            mask[: rng.integers(0, size[0] + 1), : rng.integers(0, size[1] + 1)] = True
        masks.append(mask)
    return masks


@pytest.mark.parametrize('seed', range(5))
def test_areas_and_boxes_are_those_of_pycocotools(seed: int) -> None:
    masks = random_masks(seed)
    codes = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in masks]
    measures = measure_masks(
        [code['counts'].decode() for code in codes], np.array([mask.shape for mask in masks])
    )
    assert measures.is_valid.all()
    np.testing.assert_array_equal(measures.areas, [mask.sum() for mask in masks])
    np.testing.assert_array_equal(measures.boxes_xywh, np.array([coco_mask.toBbox(code) for code in codes]))


def test_damaged_codes_do_not_spoil_their_neighbours() -> None:
    masks = random_masks(9)
    codes = [coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))['counts'].decode() for mask in masks]
    sizes = np.array([mask.shape for mask in masks])
    for place, damage in enumerate(('', 'é', '~~~', 'o', 'ooooooooo0', codes[4][:-1] + 'o', codes[5] + '1')):
        codes[place] = damage
    measures = measure_masks(codes, sizes)
    assert not measures.is_valid[:7].any()
    assert measures.is_valid[7:].all()
    np.testing.assert_array_equal(measures.areas[7:], [mask.sum() for mask in masks[7:]])
    assert not measures.areas[:7].any()


@pytest.mark.parametrize('seed', range(4))
def test_what_is_accepted_fills_the_image(seed: int) -> None:
    """Mutations of good codes: each that is accepted decodes to a mask of the same area."""
    rng = np.random.default_rng(seed)
    accepted = 0
    for mask in random_masks(seed):
        code = bytearray(coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))['counts'])
        for _ in range(8):
            spoiled = bytearray(code)
            spoiled[rng.integers(len(spoiled))] = rng.integers(48, 112)
            measures = measure_masks([spoiled.decode()], np.array([mask.shape]))
            if measures.is_valid[0]:
                accepted += 1
                rle = {'size': list(mask.shape), 'counts': bytes(spoiled)}
                assert coco_mask.decode(rle).sum() == measures.areas[0]
    assert accepted


@pytest.mark.parametrize('size', [(0, 5), (100_000, 100_000), (-4, -3)])
def test_sizes_beyond_reason(size: tuple[int, int]) -> None:
    assert not measure_masks(['525'], np.array([size])).is_valid[0]


def test_no_masks() -> None:
    assert measure_masks([], np.zeros((0, 2), int)).areas.shape == (0,)
