"""COCO segmentations: checked in plain Python first, because pycocotools can crash on malformed ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.masks.run_lengths import MOST_PIXELS, runs_of_text

# Three points x, y; annotation tools leave shorter leftovers, which are skipped as mmdet skips them.
SMALLEST_POLYGON = 6


class MaskFault(NamedTuple):
    """What is wrong with a segmentation.

    Args:
        kind: Words for all faults of this kind, under which reports count them.
        detail: A clause that says what is wrong with this one.
    """

    kind: str
    detail: str


_SIZE = 'masks of another size than their image'
_LARGE = 'masks of images that are too large'
_NO_RUNS = 'masks that are no run lengths'
_SUM = 'masks whose run lengths do not fill their image'
_FORM = 'polygons that are not flat lists of coordinates'
_NUMBERS = 'polygons with coordinates that are no pixels'
_OUTSIDE = 'masks that leave their image'


def segmentation_fault(segmentation: Any, height: int, width: int) -> str | None:
    """Return what is wrong with a COCO segmentation, in words, or None; see :func:`find_fault`.

    Example:
        >>> segmentation_fault({'size': [4, 4], 'counts': [0, 17]}, 4, 4)
        'the run lengths of its RLE sum to 17, the image has 16 pixels'
    """
    fault = find_fault(segmentation, height, width)
    return fault and fault.detail


def find_fault(segmentation: Any, height: int, width: int) -> MaskFault | None:
    """Return what is wrong with a COCO segmentation, or None.

    A missing or empty segmentation is no fault: it stands for an instance
    without mask.

    Args:
        segmentation: polygons, compressed RLE or uncompressed RLE.
        height: rows of the image.
        width: columns of the image.

    Returns:
        The fault, or None if pycocotools can decode the segmentation safely.
    """
    if is_empty_segmentation(segmentation):
        return None
    if isinstance(segmentation, dict):
        runs = runs_of_rle(segmentation, height, width)
        return runs if isinstance(runs, MaskFault) else None
    if isinstance(segmentation, list):
        return _polygons_fault(segmentation, height, width)
    return MaskFault(_FORM, f'its segmentation is a {type(segmentation).__name__}, neither polygons nor RLE')


def is_empty_segmentation(segmentation: Any) -> bool:
    """Return True if there is nothing to decode: missing, ``[]``, ``{}``, or only polygons of under three points."""
    if isinstance(segmentation, list):
        return not _is_of_pairs(segmentation) and all(
            isinstance(polygon, list) and len(polygon) < SMALLEST_POLYGON for polygon in segmentation
        )
    return segmentation is None or segmentation == {}


def _is_of_pairs(segmentation: list) -> bool:
    """Return True for points as ``[[x, y], ...]``, or polygons of such points, which COCO does not have."""
    is_polygon = bool(segmentation) and all(isinstance(one, list) and len(one) == 2 for one in segmentation)
    return is_polygon or any(
        isinstance(polygon, list) and any(isinstance(value, list) for value in polygon)
        for polygon in segmentation
    )


def decode_segmentation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Mask (H, W), uint8, 0 or 1, of a segmentation without fault; zeros if it is empty."""
    if is_empty_segmentation(segmentation):
        return np.zeros((height, width), np.uint8)
    return coco_mask.decode(compressed_rle(segmentation, height, width))


def compressed_rle(segmentation: Any, height: int, width: int) -> dict:
    """Compressed RLE of a segmentation that is neither empty nor faulty; polygons are joined."""
    if isinstance(segmentation, list):
        polygons = [polygon for polygon in segmentation if len(polygon) >= SMALLEST_POLYGON]
        return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    if isinstance(segmentation['counts'], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def runs_of_rle(rle: dict, height: int, width: int) -> np.ndarray | MaskFault:
    """Return the run lengths (R,), int64, of RLE for an image of this size, or what is wrong with it."""
    size, counts = rle.get('size'), rle.get('counts')
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        return MaskFault(_SIZE, f'its RLE has size {size}, the image [{height}, {width}]')
    if height * width > MOST_PIXELS:
        return MaskFault(
            _LARGE, f'its image of {height} x {width} pixels is larger than {MOST_PIXELS} pixels'
        )
    if isinstance(counts, (str, bytes)):
        runs = runs_of_text(counts)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        # numbers of any length can stand in a file
        runs = np.array(counts, np.int64) if all(0 <= run <= MOST_PIXELS for run in counts) else None
    else:
        kind = type(counts).__name__
        return MaskFault(_NO_RUNS, f'its RLE counts are a {kind}, neither text nor a list of integers')
    if runs is None:
        return MaskFault(_SUM, 'its RLE counts are damaged')
    if runs.sum() != height * width:
        pixels = height * width
        return MaskFault(
            _SUM, f'the run lengths of its RLE sum to {runs.sum()}, the image has {pixels} pixels'
        )
    return runs


def _polygons_fault(polygons: list, height: int, width: int) -> MaskFault | None:
    if _is_of_pairs(polygons):
        return MaskFault(
            _FORM,
            'its polygon is a list of points [[x, y], ...]; COCO wants a list of polygons, each one flat list '
            '[[x1, y1, x2, y2, ...]]',
        )
    if height * width > MOST_PIXELS:
        return MaskFault(
            _LARGE, f'its image of {height} x {width} pixels is larger than {MOST_PIXELS} pixels'
        )
    far = f'one of its polygons lies far outside the image of {height} x {width} pixels'
    for polygon in polygons:
        if not isinstance(polygon, list):
            return MaskFault(
                _FORM, 'its polygons are not lists of coordinates: COCO wants [[x1, y1, x2, y2, ...]]'
            )
        if len(polygon) < SMALLEST_POLYGON:
            continue
        if len(polygon) % 2:
            return MaskFault(_FORM, f'one of its polygons has {len(polygon)} coordinates, an x without y')
        if not all(isinstance(value, (int, float)) for value in polygon):
            return MaskFault(_NUMBERS, 'one of its polygons holds something that is not a number')
        # a whole number of any length can stand in a file
        if any(isinstance(value, int) and abs(value) > MOST_PIXELS for value in polygon):
            return MaskFault(_NUMBERS, far)
        points = np.array(polygon, np.float64).reshape(-1, 2)
        if not np.isfinite(points).all():
            return MaskFault(_NUMBERS, 'one of its polygons holds a coordinate that is not finite')
        # pycocotools rasterises every pixel of an outline, also far outside the image
        margin = max(height, width)
        if points.min() < -margin or (points - [width, height]).max() > margin:
            return MaskFault(_OUTSIDE, far)
    return None
