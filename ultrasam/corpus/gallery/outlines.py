"""Outlines of masks as SVG paths, exact to a fraction of a pixel of the screen."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.errors import AnnotationError
from ultrasam.masks.segmentation import compressed_rle, find_fault, is_empty_segmentation

# Paths are drawn in half pixels of the image, so that a mask of one pixel has an inside.
UNITS_PER_PIXEL = 2
# Half pixels by which a path may leave the mask: a third of a pixel, or more where the image is larger than a screen.
_TOLERANCE = 0.7
_SCREEN_SIDE = 1500


def run_lengths_of(segmentation: Any, size_hw: tuple[int, int]) -> dict[str, Any]:
    """Compressed run lengths of a COCO segmentation of any form, checked before C code sees it.

    Args:
        segmentation: polygons, run lengths, or compressed run lengths.
        size_hw: of the image, in pixels.

    Raises:
        AnnotationError: it cannot be decoded; the message says only why, as a kind of fault.
    """
    if fault := find_fault(segmentation, *size_hw):
        raise AnnotationError(fault.kind)
    if is_empty_segmentation(segmentation):
        raise AnnotationError('annotations without a mask')
    run_lengths = compressed_rle(segmentation, *size_hw)
    if isinstance(segmentation, list) and not coco_mask.area(run_lengths):
        raise AnnotationError('masks without a pixel')
    return {'size': list(size_hw), 'counts': run_lengths['counts']}


def outline_of(run_lengths: dict[str, Any]) -> str:
    """The outline of a mask as an SVG path, in half pixels, holes as paths of their own (fill rule ``evenodd``).

    The point 0 0 is the centre of the first half pixel: the image reaches from -0.5 to twice its size less 0.5.

    Args:
        run_lengths: checked ones.

    Returns:
        The path; empty for an empty mask.

    Example:
        >>> outline_of({'size': [3, 3], 'counts': '414'})
        'M2 2l0 1 1 0 0 -1z'
    """
    left, top, width, height = (int(value) for value in coco_mask.toBbox(run_lengths))
    if not width or not height:
        return ''
    mask = coco_mask.decode(run_lengths)[top : top + height, left : left + width]
    mask = np.repeat(np.repeat(mask, UNITS_PER_PIXEL, axis=0), UNITS_PER_PIXEL, axis=1)
    mask = cv2.copyMakeBorder(np.ascontiguousarray(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    tolerance = max(_TOLERANCE, UNITS_PER_PIXEL * max(run_lengths['size']) / _SCREEN_SIDE)
    found = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[-2]
    origin = (UNITS_PER_PIXEL * left - 1, UNITS_PER_PIXEL * top - 1)
    paths = [cv2.approxPolyDP(contour, tolerance, True)[:, 0] + np.array(origin) for contour in found]
    return ''.join(_path(points) for points in paths)


def _path(points: np.ndarray) -> str:
    steps = ' '.join(f'{x} {y}' for x, y in np.diff(points, axis=0))
    return f'M{points[0, 0]} {points[0, 1]}' + (f'l{steps}' if steps else 'h0') + 'z'
