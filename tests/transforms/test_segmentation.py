"""COCO segmentations of every form, and the faults that pycocotools would crash on."""

from __future__ import annotations

import numpy as np
import pytest

from ultrasam.errors import AnnotationError
from ultrasam.masks.segmentation import decode_segmentation, segmentation_fault
from ultrasam.openmmlab.transforms import LoadInstanceAnnotations

from .conftest import disc, rle_of, uncompressed_rle_of

MASK = disc(40, 30, (14, 18), 9)
SQUARE = [5.0, 5.0, 15.0, 5.0, 15.0, 15.0, 5.0, 15.0]


def load(segmentations: list, shape=(40, 30)) -> dict:
    instances = [dict(bbox=[5, 5, 20, 30], bbox_label=0, ignore_flag=0, mask=s) for s in segmentations]
    results = dict(ori_shape=shape, img_path='a.png', instances=instances)
    return LoadInstanceAnnotations(with_bbox=True, with_mask=True)(results)


def test_every_form_and_a_mixed_file():
    masks = load([rle_of(MASK), uncompressed_rle_of(MASK), [SQUARE], [SQUARE, [0, 0, 4, 0, 4, 4]]])[
        'gt_masks'
    ].masks
    np.testing.assert_array_equal(masks[0], MASK)
    np.testing.assert_array_equal(masks[1], MASK)
    assert masks[2].sum() == 100
    assert masks[3].sum() > 100
    assert masks.dtype == np.uint8


@pytest.mark.parametrize('empty', [None, [], {}, [[]], [[1.0, 2.0, 3.0, 4.0]]])
def test_missing_and_empty_give_an_empty_mask_that_is_not_ignored(empty):
    results = load([empty, rle_of(MASK)])
    assert results['gt_masks'].masks.sum((1, 2)).tolist() == [0, MASK.sum()]
    assert not results['gt_ignore_flags'].any()


def test_no_mask_key_at_all():
    results = dict(ori_shape=(40, 30), instances=[dict(bbox=[5, 5, 20, 30], bbox_label=0, ignore_flag=0)])
    loaded = LoadInstanceAnnotations(with_bbox=True, with_mask=True)(results)
    assert loaded['gt_masks'].masks.shape == (1, 40, 30)


def test_no_instances():
    assert load([])['gt_masks'].masks.shape == (0, 40, 30)


def test_image_of_another_size_on_disk():
    with pytest.raises(
        AnnotationError, match=r'a\.png.*size \[40, 30\].*\[30, 40\].*as a viewer shows it, upright'
    ):
        load([rle_of(MASK)], shape=(30, 40))


def test_random_masks_have_no_fault():
    rng = np.random.default_rng(0)
    for share in np.linspace(0, 1, 60):
        mask = rng.random(rng.integers(1, 90, 2)) < share
        height, width = map(int, mask.shape)
        for segmentation in (rle_of(mask), uncompressed_rle_of(mask)):
            assert segmentation_fault(segmentation, height, width) is None
            np.testing.assert_array_equal(decode_segmentation(segmentation, height, width), mask)


@pytest.mark.parametrize(
    ('segmentation', 'fault'),
    [
        (dict(size=[30, 40], counts='a'), 'size'),
        (dict(size=None, counts='a'), 'size'),
        (dict(counts='a'), 'size'),
        (dict(size=[40, 30], counts='0'), 'sum to'),
        (dict(size=[40, 30], counts=[0, 1201]), 'sum to'),
        (dict(size=[40, 30], counts=[1300, -100]), 'damaged'),
        (dict(size=[40, 30], counts=rle_of(MASK)['counts'][:-3]), 'RLE'),
        (dict(size=[40, 30], counts='oooooooooooo'), 'damaged'),
        (dict(size=[40, 30], counts='ä'), 'damaged'),
        (dict(size=[40, 30], counts=None), 'neither text'),
        (dict(size=[40, 30], counts=[1.5]), 'neither text'),
        ([[0, 0, 5, 5, 9]], None),
        ([[0, 0, 5, 5, 9, 9, 1]], 'without y'),
        ([[0, 0, 5, 'x', 9, 9]], 'not a number'),
        ([[0, 0, 5, float('nan'), 9, 9]], 'not finite'),
        ([[0, 0, 1e9, 5, 9, 9]], 'far outside'),
        ([0, 0, 5, 5, 9, 9], 'not lists'),
        *(([[k, 2 * k] for k in range(n)], r'[[x1, y1, x2, y2, ...]]') for n in range(1, 9)),
        ([[[k, 2 * k] for k in range(5)]], r'[[x1, y1, x2, y2, ...]]'),
        ('text', 'neither polygons'),
    ],
)
def test_faults(segmentation, fault):
    found = segmentation_fault(segmentation, 40, 30)
    assert found is None if fault is None else fault in found


@pytest.mark.parametrize(
    'segmentation',
    [
        {'size': [40, 30], 'counts': [0, 1 << 70]},
        {'size': [40, 30], 'counts': [1 << 63, -(1 << 63) + 1200]},
        {'size': [40, 30], 'counts': [True] * 1200},
        {'size': 1200, 'counts': [1200]},
        {'size': 1200.0, 'counts': 'P'},
        [[5, 5, 15, 10**400, 15, 15]],
    ],
)
def test_numbers_beyond_all_bounds_are_faults(segmentation):
    assert segmentation_fault(segmentation, 40, 30)
