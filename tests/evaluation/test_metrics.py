"""Scores of masks against known answers, pycocotools, MONAI's own functions and a search over all pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from tests.evaluation.shapes import disc, square
from ultrasam.errors import ConfigError
from ultrasam.evaluation import metrics
from ultrasam.evaluation.metrics import Tolerances, mask_scores, surface_distances

pytest.importorskip('monai', reason='the extra evaluation is not installed')


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs with holes and islands, some of them at the border."""
    rng = np.random.default_rng(seed)
    masks = [np.zeros((70, 90), bool) for _ in range(2)]
    for mask in masks:
        for _ in range(3):
            x, y, radius = rng.integers(0, 90), rng.integers(0, 70), rng.integers(3, 22)
            mask |= disc(x, y, radius, (70, 90))
        mask &= rng.random(mask.shape) > 0.02
    return masks[0], masks[1]


def distances_by_search(mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    outlines = [np.argwhere(m & ~binary_erosion(m)) * np.array(spacing) for m in (mask, truth)]
    table = cdist(*outlines)
    return np.concatenate([table.min(1), table.min(0)])


def scores(
    mask: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float] | None = None
) -> dict[str, float]:
    return mask_scores(mask, truth, spacing_mm=spacing_mm, tolerances=Tolerances())


def test_dice_and_iou_of_known_masks():
    a, b = square(10, 10, 20), square(10, 20, 20)
    assert metrics.dice(a, b) == 0.5
    assert metrics.iou(a, b) == pytest.approx(1 / 3)
    assert metrics.dice(a, a) == metrics.iou(a, a) == 1
    assert metrics.dice(a, ~a) == metrics.iou(a, ~a) == 0
    nothing = a & ~a
    assert metrics.dice(nothing, nothing) == metrics.iou(nothing, nothing) == 1


@pytest.mark.parametrize('seed', range(4))
def test_iou_is_that_of_pycocotools(seed):
    a, b = random_pair(seed)
    encoded = [coco_mask.encode(np.asfortranarray(m.astype(np.uint8))) for m in (a, b)]
    assert metrics.iou(a, b) == pytest.approx(float(coco_mask.iou(encoded[:1], encoded[1:], [0])[0, 0]))


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('spacing', [(1.0, 1.0), (0.3, 0.11)])
def test_distances_are_those_of_a_search_over_all_pairs(seed, spacing):
    a, b = random_pair(seed)
    there, back = surface_distances(a, b, spacing)
    np.testing.assert_allclose(np.concatenate([there, back]), distances_by_search(a, b, spacing), rtol=1e-6)


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('spacing', [(0.2, 0.2), (0.3, 0.11)])
def test_summaries_are_those_of_monai(seed, spacing):
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    a, b = random_pair(seed)
    tensors = [torch.from_numpy(np.stack([~m, m])[None].astype(np.float32)) for m in (a, b)]
    found = scores(a, b, spacing)
    for unit, given, tolerance in (('px', None, 2.0), ('mm', list(spacing), 1.0)):
        hd95 = compute_hausdorff_distance(*tensors, percentile=95, spacing=given)
        assd = compute_average_surface_distance(*tensors, symmetric=True, spacing=given)
        nsd = compute_surface_dice(*tensors, class_thresholds=[tolerance], spacing=given)
        for name, value in (('hd95', hd95), ('assd', assd), ('nsd', nsd)):
            assert found[f'{name}_{unit}'] == pytest.approx(float(value[0, 0]), rel=1e-4), (name, unit)


def test_a_disc_in_a_larger_disc_is_apart_by_the_difference_of_radii():
    found = scores(disc(100, 80, 40), disc(100, 80, 50), (0.1, 0.1))
    assert found['hd95_px'] == pytest.approx(10, abs=0.6)
    assert found['assd_px'] == pytest.approx(10, abs=0.4)
    assert found['nsd_px'] == 0
    assert found['hd95_mm'] == pytest.approx(0.1 * found['hd95_px'])
    assert found['nsd_mm'] > 0.4  # about half of the distances are below 10 px, which is 1 mm


def test_a_shifted_disc():
    found = scores(disc(104, 80, 60), disc(100, 80, 60))
    # along the outline the distance is about 4 |cos t|
    assert found['hd95_px'] == pytest.approx(4, abs=0.1)
    assert found['assd_px'] == pytest.approx(4 * 2 / math.pi, rel=0.1)  # stairs are a little nearer
    assert found['nsd_px'] == pytest.approx(1 / 3, abs=0.06)  # |cos t| <= 1/2


def test_a_shifted_square_has_known_distances():
    found = scores(square(20, 20, 20), square(20, 23, 20))
    assert found['hd95_px'] == 3
    assert found['dice'] == pytest.approx(17 / 20)


def test_single_pixels():
    one, other = square(10, 10, 1), square(10, 14, 1)
    assert scores(one, one) == dict(dice=1, iou=1, nsd_px=1, hd95_px=0, assd_px=0)
    found = scores(one, other, (0.5, 0.25))
    assert (found['dice'], found['hd95_px'], found['assd_px'], found['nsd_px']) == (0, 4, 4, 0)
    assert (found['hd95_mm'], found['nsd_mm']) == (1, 1)


def test_an_empty_mask_is_as_bad_as_can_be():
    truth = square(10, 10, 20)
    found = scores(np.zeros_like(truth), truth, (0.5, 0.5))
    assert found['dice'] == found['iou'] == found['nsd_px'] == found['nsd_mm'] == 0
    assert found['hd95_px'] == found['assd_px'] == 100
    assert found['hd95_mm'] == 50
    with pytest.raises(ConfigError, match='not defined'):
        surface_distances(np.zeros_like(truth), truth)


def test_the_border_of_the_image_bounds_a_mask():
    truth, mask = square(0, 0, 60, (60, 80)), square(0, 0, 60, (60, 80))
    mask[:, 55:] = False
    found = scores(mask, truth)
    there, back = surface_distances(mask, truth)
    assert len(back) == 4 * 60 - 4
    assert len(there) == 2 * (60 + 55) - 4
    assert found['hd95_px'] == 5
    assert scores(truth, truth)['nsd_px'] == 1


@pytest.mark.parametrize('value', [-1, math.nan, math.inf])
def test_a_tolerance_that_cannot_be(value):
    with pytest.raises(ConfigError, match='tolerance'):
        Tolerances(pixels=value)
