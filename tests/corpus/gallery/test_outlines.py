"""Outlines of masks."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from ultrasam.corpus.gallery.outlines import UNITS_PER_PIXEL, outline_of, run_lengths_of
from ultrasam.errors import AnnotationError

SIZE = (60, 80)


def encoded(mask: np.ndarray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(mask.shape), 'counts': rle['counts'].decode()}


def painted(path: str, size_hw: tuple[int, int]) -> np.ndarray:
    """What a browser paints: the rule is even or odd, the lines go through centres of half pixels."""
    canvas = np.zeros([UNITS_PER_PIXEL * side for side in size_hw], np.uint8)
    for start, steps in re.findall(r'M(\S+ \S+?)(?:l([^z]*)|h0)z', path):
        points = [np.array(start.split(), int)]
        numbers = np.array(steps.split(), int).reshape(-1, 2)
        points += [points[0] + total for total in np.cumsum(numbers, axis=0)]
        one = np.zeros_like(canvas)
        cv2.fillPoly(one, [np.array(points)], 1)
        canvas ^= one
    return canvas[::UNITS_PER_PIXEL, ::UNITS_PER_PIXEL].astype(bool)


def disc(centre: tuple[int, int], radius: int) -> np.ndarray:
    rows, columns = np.indices(SIZE)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def test_path_covers_the_mask() -> None:
    for mask in (disc((30, 40), 20), disc((0, 0), 15), disc((20, 20), 9) | disc((45, 65), 6)):
        got = painted(outline_of(encoded(mask)), SIZE)
        assert 2 * (got & mask).sum() / (got.sum() + mask.sum()) > 0.97


def test_holes_stay_open() -> None:
    mask = disc((30, 40), 20) & ~disc((30, 40), 8)
    got = painted(outline_of(encoded(mask)), SIZE)
    assert not got[30, 40]
    assert got[30, 55]


def test_one_pixel_is_seen() -> None:
    mask = np.zeros(SIZE, bool)
    mask[10, 12] = True
    assert outline_of(encoded(mask)) == 'M24 20l0 1 1 0 0 -1z'


def test_empty_mask_has_no_path() -> None:
    assert outline_of(encoded(np.zeros(SIZE, bool))) == ''


def test_all_forms_of_segmentation_agree() -> None:
    mask = np.zeros(SIZE, bool)
    mask[10:30, 20:50] = True
    flat = mask.T.ravel()
    runs = np.diff(np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1], [True]]))).tolist()
    forms = (encoded(mask), {'size': list(SIZE), 'counts': runs}, [[20, 10, 50, 10, 50, 30, 20, 30]])
    for form in forms:
        assert np.array_equal(coco_mask.decode(run_lengths_of(form, SIZE)).astype(bool), mask)


@pytest.mark.parametrize(
    'segmentation',
    [
        None,
        [],
        'text',
        [[1, 2, 3]],
        [[1, 2, 3, 4, 5, 'x']],
        {'size': [60, 81], 'counts': 'abc'},
        {'size': [60, 80], 'counts': '1'},
        {'size': [60, 80], 'counts': 'äö'},
        {'size': [60, 80], 'counts': ''},
        {'size': [60, 80], 'counts': [3, -3, 4800]},
        {'size': [60, 80], 'counts': None},
        {'size': [60, 80]},
    ],
)
def test_damaged_masks_are_refused(segmentation: Any) -> None:
    with pytest.raises(AnnotationError):
        run_lengths_of(segmentation, SIZE)
