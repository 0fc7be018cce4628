"""Label rules, outlines, instances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.corpus.raw_trees.common import box, disc
from tests.corpus.test_sweep import DESCRIPTIONS
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.frames import Structure
from ultrasam.corpus.labels import clip_structures, fill_outline, lit_sector, read_labels, split_instances
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.spec import Instances
from ultrasam.corpus.words import Colours, LabelRule, Nonzero, Threshold, Values

MASK = disc(30, 40, 12)


def labelled(rule: LabelRule, values: np.ndarray, stray_share: float = 0.005) -> dict[str, np.ndarray]:
    structures, _ = read_labels(rule, values, {'kind': 'benign'}, name='m.png', stray_share=stray_share)
    return {one.category: one.mask for one in structures}


def test_threshold_and_category_of_groups() -> None:
    found = labelled(Threshold(150, 'nodule_{kind}'), MASK * np.uint8(200))
    assert list(found) == ['nodule_benign']
    assert np.array_equal(found['nodule_benign'], MASK)


@pytest.mark.parametrize('value', [1, 100])
def test_mask_stored_as_labels_is_refused_by_a_threshold(value: int) -> None:
    with pytest.raises(RawFileError, match='below the threshold 150'):
        labelled(Threshold(150, 'nodule'), MASK * np.uint8(value))


def test_few_stray_pixels_are_counted_and_many_refused() -> None:
    values = MASK * np.uint8(255)
    values[0, :5] = 90
    _, stray = read_labels(Threshold(150, 'nodule'), values, {}, name='m.png', stray_share=0.005)
    assert stray == {'90': 5}
    values[0, :60] = 90
    with pytest.raises(RawFileError, match=r'1\.2% .* 90 \(60 px\)'):
        labelled(Threshold(150, 'nodule'), values)


def test_slack_takes_the_ringing_of_jpeg() -> None:
    values = np.where(MASK, 250, 12).astype(np.uint8)
    assert np.array_equal(labelled(Threshold(150, 'nodule', slack=16), values)['nodule'], MASK)


def test_values_merge_by_category_and_unknown_ones_are_stray() -> None:
    values = np.zeros(MASK.shape, np.uint8)
    values[MASK] = 2
    values[:10] = 4
    found = labelled(Values({2: 'carotid', 4: 'carotid', 1: 'thyroid'}), values)
    assert list(found) == ['carotid']
    assert np.array_equal(found['carotid'], values > 0)
    with pytest.raises(RawFileError, match=r'4 \(800 px\)'):
        labelled(Values({2: 'carotid'}), values)


def test_coloured_mask_is_refused_where_gray_is_described() -> None:
    coloured = np.zeros((*MASK.shape, 3), np.uint8)
    coloured[MASK] = (0, 255, 0)
    with pytest.raises(RawFileError, match='in colour'):
        labelled(Values({255: 'a'}), coloured)
    assert np.array_equal(labelled(Nonzero('a'), coloured)['a'], MASK)


def test_colours_are_rgb_and_within_tolerance() -> None:
    yellow, blue = disc(20, 20, 8), disc(40, 60, 8)
    values = np.zeros((*MASK.shape, 3), np.uint8)
    values[yellow], values[blue] = (255, 250, 3), (0, 255, 255)
    rule = Colours({(255, 255, 0): 'kidney', (0, 255, 255): 'adrenals'}, tolerance=10)
    found = labelled(rule, values)
    assert np.array_equal(found['kidney'], yellow)
    assert np.array_equal(found['adrenals'], blue)
    with pytest.raises(RawFileError, match=r'\(255, 250, 3\)'):
        labelled(Colours(rule.names), values)


def test_labels_with_fractions_are_refused() -> None:
    with pytest.raises(RawFileError, match='fractions'):
        labelled(Values({1: 'a'}), MASK * 0.5)
    with pytest.raises(RawFileError, match='not finite'):
        labelled(Nonzero('a'), np.full((4, 4), np.nan))


def test_outline_through_two_borders_keeps_the_smaller_side() -> None:
    curve = box(0, 20, 63, 21)
    assert np.array_equal(fill_outline(curve), box(0, 0, 63, 21))
    assert not fill_outline(np.zeros((5, 5), bool)).any()


def instances(mask: np.ndarray, **rule: object) -> tuple[list[np.ndarray], dict[str, int]]:
    found, dropped = split_instances([Structure('a', mask)], Instances(**rule))  # type: ignore[arg-type]
    return [one.mask for one in found], dict(dropped)


def test_components_touch_at_corners() -> None:
    diagonal = np.eye(5, dtype=bool)
    assert len(instances(diagonal)[0]) == 1


def test_mask_that_fills_the_image_and_one_pixel_are_kept() -> None:
    full = np.ones((6, 7), bool)
    assert np.array_equal(instances(full)[0][0], full)
    pixel = np.zeros((6, 7), bool)
    pixel[3, 3] = True
    assert instances(pixel, min_area=1)[0][0].sum() == 1
    assert instances(pixel) == ([], {'crumb of at most 4 px': 1})
    assert instances(np.zeros((6, 7), bool)) == ([], {})


def test_small_instances_are_dropped_and_counted() -> None:
    mask = disc(30, 40, 12) | box(2, 2, 3, 3)
    assert instances(mask, min_area=6)[1] == {'smaller than 6 px': 1}
    assert instances(mask)[1] == {'crumb of at most 4 px': 1}
    assert instances(disc(30, 40, 12) | box(2, 2, 2, 6))[1] == {}
    assert instances(mask, min_share=0.05, min_area=1)[1] == {'smaller than 5% of the largest': 1}
    assert instances(mask, largest=True)[1] == {'not the largest component': 1}
    assert len(instances(mask, components=False)[0]) == 1


@pytest.mark.parametrize('seed', range(8))
def test_components_are_those_of_the_whole_frame(seed: int) -> None:
    # at the borders, too: what is searched is only the part of the frame that is marked
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((50, 60)), 2)
    mask = np.zeros((64, 80), bool)
    mask[seed : seed + 50, 20 - 2 * seed :][:, :60] = noise > 0.08
    for is_filled in (False, True):
        whole = ndimage.binary_fill_holes(mask) if is_filled else mask
        numbered, count = ndimage.label(whole, np.ones((3, 3)))
        found, _ = split_instances([Structure('a', mask)], Instances(fill_holes=is_filled, min_area=1))
        assert count > 1
        assert [one.mask.tolist() for one in found] == [(numbered == k + 1).tolist() for k in range(count)]


def test_a_rule_may_be_a_function() -> None:
    values = np.where(MASK, 7, 0).astype(np.int16)
    values[:, :40][MASK[:, :40]] = 3
    rule = load_spec(DESCRIPTIONS['echocp']).annotations[0].rule
    found, stray = read_labels(rule, values, {}, name='m', stray_share=0)
    assert [(one.category, one.mask.tolist()) for one in found] == [
        ('chamber', (values == value).tolist()) for value in (3, 7)
    ]
    assert not stray
    with pytest.raises(RawFileError, match='9 values where at most 8'):
        labelled(rule, np.arange(10)[None])


def test_holes() -> None:
    ring = disc(30, 40, 12) & ~disc(30, 40, 5)
    assert np.array_equal(instances(ring, fill_holes=True)[0][0], disc(30, 40, 12))


def test_sector_keeps_black_inside_and_ignores_lettering() -> None:
    image = np.where(box(10, 10, 50, 60), 90, 0).astype(np.uint8)
    image[28:32, 30:40] = 0
    image[2, 2:6] = 255
    assert np.array_equal(lit_sector(image), box(10, 10, 50, 60))
    everywhere = [Structure('a', np.ones(image.shape, bool))]
    assert np.array_equal(clip_structures(everywhere, image, 'black')[0].mask, image > 0)
    assert lit_sector(np.zeros((4, 4), np.uint8)).all()
