"""Masks kept as crops show, count and reduce as drawn bitmaps do."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch
from mmcv import rescale_size
from mmdet.structures.mask import BitmapMasks

from ultrasam.masks.foreground import (
    foreground_centre,
    foreground_pixel,
    foreground_row_counts,
    nearest_foreground,
)
from ultrasam.masks.segmentation import runs_of_rle
from ultrasam.openmmlab.models.heads import mask_targets
from ultrasam.openmmlab.transforms import CroppedMask, CroppedMasks
from ultrasam.openmmlab.transforms.cropped_masks import cropped

from .conftest import rle_of, uncompressed_rle_of


def random_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise, nothing, everything, an ellipse, or an ellipse with a bar at the border."""
    kind = rng.integers(5)
    if kind == 0:
        return (rng.random((height, width)) < rng.random()).astype(np.uint8)
    mask = np.full((height, width), int(kind == 1), np.uint8)
    if kind > 2:
        centre, axes = (
            (int(rng.integers(width)), int(rng.integers(height))),
            (int(rng.integers(1, width + 1)), int(rng.integers(1, height + 1))),
        )
        cv2.ellipse(mask, centre, axes, 30, 0, 360, 1, cv2.FILLED)
    if kind == 4:
        mask[:, rng.integers(width) :] = 1
    return mask


def from_runs(mask: np.ndarray) -> CroppedMask:
    runs = runs_of_rle(rle_of(mask), *mask.shape)
    assert isinstance(runs, np.ndarray)
    return CroppedMask.of_runs(runs, *mask.shape)


def changed(masks: BitmapMasks, rng: np.random.Generator, plan: list[tuple]) -> BitmapMasks:
    """The masks after the changes of a plan."""
    for change, value in plan:
        masks = getattr(masks, change)(value)
    return masks


def random_plan(rng: np.random.Generator, height: int, width: int) -> list[tuple]:
    plan: list[tuple] = []
    for _ in range(int(rng.integers(0, 4))):
        match int(rng.integers(4)):
            case 0:
                plan.append(('flip', str(rng.choice(['horizontal', 'vertical', 'diagonal']))))
            case 1:
                x, y = (np.sort(rng.integers(0, side, 2)) for side in (width, height))
                plan.append(('crop', np.array([x[0], y[0], x[1] + 1, y[1] + 1])))
                height, width = int(y[1] - y[0] + 1), int(x[1] - x[0] + 1)
            case 2:
                height, width = rng.integers(1, 400, 2).tolist()
                plan.append(('resize', (height, width)))
            case _:
                new = rescale_size((width, height), (256, 256))
                if min(new) > 0:
                    plan.append(('rescale', (256, 256)))
                    width, height = new
    return plan


@pytest.mark.parametrize('seed', range(6))
def test_equal_to_bitmaps_after_any_change(seed: int):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        height, width = rng.integers(1, 300, 2).tolist()
        bitmaps = [random_mask(rng, height, width) for _ in range(int(rng.integers(0, 4)))]
        plan = random_plan(rng, height, width)
        whole = changed(BitmapMasks(bitmaps, height, width), rng, plan)
        ours = changed(CroppedMasks([from_runs(mask) for mask in bitmaps], height, width), rng, plan)
        assert isinstance(ours, CroppedMasks)
        assert (ours.height, ours.width, len(ours)) == (whole.height, whole.width, len(whole))
        np.testing.assert_array_equal(ours.masks, whole.masks)
        np.testing.assert_array_equal(ours.areas, whole.areas)
        np.testing.assert_array_equal(ours.get_bboxes('hbox').tensor, whole.get_bboxes('hbox').tensor)


def test_counts_and_clicks_are_those_of_the_drawn_mask():
    rng = np.random.default_rng(7)
    for _ in range(150):
        height, width = rng.integers(2, 200, 2).tolist()
        plan = random_plan(rng, height, width)
        (item,) = changed(
            CroppedMasks([from_runs(random_mask(rng, height, width))], height, width), rng, plan
        ).items
        mask = item.drawn()
        rows = foreground_row_counts(mask)
        np.testing.assert_array_equal(item.row_counts(), rows)
        np.testing.assert_array_equal(item.column_counts(), mask.astype(int).sum(0))
        assert item.has_foreground == mask.any()
        if mask.any():
            for uniform in (0.0, *rng.random(4), np.nextafter(1, 0)):
                assert foreground_pixel(item, item.row_counts(), uniform) == foreground_pixel(
                    mask, rows, uniform
                )
            np.testing.assert_array_equal(item.centre(), foreground_centre(mask, rows))
            point = rng.random(2) * [mask.shape[1] - 1, mask.shape[0] - 1]
            np.testing.assert_array_equal(item.nearest(point), nearest_foreground(mask, point))


@pytest.mark.parametrize('sizes', [(256, 64), (512, 128), (300, 100), (256, 256), (512, 256), (96, 32)])
def test_targets_are_those_of_the_head(sizes: tuple[int, int]):
    rng = np.random.default_rng(sum(sizes))
    for _ in range(40):
        height, width = rng.integers(1, sizes[0] + 20, 2).tolist()
        whole = BitmapMasks([random_mask(rng, height, width) for _ in range(3)], height, width)
        expected = mask_targets(whole.to_tensor(torch.uint8, 'cpu'), *sizes).numpy()
        np.testing.assert_array_equal(cropped(whole).targets(*sizes), expected)


def test_targets_of_a_size_that_does_not_divide():
    with pytest.raises(ValueError, match='does not divide'):
        cropped(BitmapMasks([np.ones((4, 4), np.uint8)], 4, 4)).targets(100, 30)


@pytest.mark.parametrize('kind', [np.uint8, bool, np.int64])
def test_any_type_of_mask(kind: type):
    mask = np.zeros((9, 7), kind)
    mask[2:4, 3:6] = 255 if kind is not bool else True
    item = CroppedMask.of_mask(mask)
    assert item.pixels.shape == (2, 3)
    np.testing.assert_array_equal(item.drawn(), mask != 0)


def test_uncompressed_runs_with_empty_ones():
    mask = np.zeros((5, 4), np.uint8)
    mask[4, 0] = mask[:2, 1] = 1
    for runs in ([4, 1, 0, 2, 13], [4, 0, 0, 1, 0, 2, 13, 0], uncompressed_rle_of(mask)['counts']):
        np.testing.assert_array_equal(CroppedMask.of_runs(np.array(runs), 5, 4).drawn(), mask)
    assert not CroppedMask.of_runs(np.array([20]), 5, 4).has_foreground
    assert not CroppedMask.of_runs(np.array([20, 0]), 5, 4).drawn().any()


def test_what_mmdet_does_with_bitmaps():
    rng = np.random.default_rng(1)
    whole = BitmapMasks([random_mask(rng, 40, 30) for _ in range(3)], 40, 30)
    ours = cropped(whole)
    assert isinstance(ours, BitmapMasks)
    for index in (1, slice(0, 2), np.array([2, 0]), np.array([True, False, True]), np.zeros(0, int)):
        np.testing.assert_array_equal(ours[index].masks, whole[index].masks)
    np.testing.assert_array_equal(ours.pad((50, 60)).masks, whole.pad((50, 60)).masks)
    np.testing.assert_array_equal(ours.to_ndarray(), whole.to_ndarray())
    np.testing.assert_array_equal(list(ours), list(whole))
    assert torch.equal(ours.to_tensor(torch.float32, 'cpu'), whole.to_tensor(torch.float32, 'cpu'))
    np.testing.assert_array_equal(type(ours).cat([ours, ours]).masks, BitmapMasks.cat([whole, whole]).masks)
    smooth = dict(out_shape=(80, 60), interpolation='bilinear')
    np.testing.assert_array_equal(ours.resize(**smooth).masks, whole.resize(**smooth).masks)


def test_a_large_mask_travels_as_its_object():
    mask = np.zeros((1000, 1000), np.uint8)
    mask[400:450, 300:380] = 1
    masks = cropped(BitmapMasks([mask], 1000, 1000))
    content = pickle.dumps(masks)
    assert len(content) < 30_000
    np.testing.assert_array_equal(pickle.loads(content).masks, mask[None])
