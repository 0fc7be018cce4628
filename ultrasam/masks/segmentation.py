"""COCO segmentations: checked in plain Python first, because pycocotools can crash on malformed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

# 8192 x 8192 pixels: beyond any ultrasound frame, and small enough to decode in memory.
MAX_PIXELS = 1 << 26

# Three points x, y; annotation tools leave shorter leftovers, which are skipped as mmdet skips them.
SMALLEST_POLYGON = 6


def segmentation_fault(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with a COCO segmentation, or None.

    A missing or empty segmentation is no fault: it stands for an instance
    without mask.

    Args:
        segmentation: polygons, compressed RLE or uncompressed RLE.
        height: rows of the image.
        width: columns of the image.

    Returns:
        The fault in words, or None if pycocotools can decode it safely.

    Example:
        >>> segmentation_fault({'size': [4, 4], 'counts': [0, 17]}, 4, 4)
        'the run lengths of its RLE sum to 17, the image has 16 pixels'
    """
    if is_empty_segmentation(segmentation):
        return None
    if isinstance(segmentation, dict):
        return _rle_fault(segmentation, height, width)
    if isinstance(segmentation, list):
        return _polygons_fault(segmentation, height, width)
    return f'its segmentation is a {type(segmentation).__name__}, neither polygons nor RLE'


def is_empty_segmentation(segmentation: Any) -> bool:
    """Whether there is nothing to decode: missing, ``[]``, ``{}``, or only polygons of under three points."""
    if isinstance(segmentation, list):
        return all(isinstance(polygon, list) and len(polygon) < SMALLEST_POLYGON for polygon in segmentation)
    return segmentation is None or segmentation == {}


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


def _rle_fault(rle: dict, height: int, width: int) -> str | None:
    runs = runs_of_rle(rle, height, width)
    return runs if isinstance(runs, str) else None


def runs_of_rle(rle: dict, height: int, width: int) -> np.ndarray | str:
    """Run lengths (R,), int64, of RLE for an image of this size, or what is wrong with it, in words."""
    size, counts = rle.get('size'), rle.get('counts')
    if not isinstance(size, list | tuple) or list(size) != [height, width]:
        return f'its RLE has size {size}, the image [{height}, {width}]'
    if height * width > MAX_PIXELS:
        return f'its image of {height} x {width} pixels is larger than {MAX_PIXELS} pixels'
    if isinstance(counts, (str, bytes)):
        runs = _runs_of_text(counts)
    elif isinstance(counts, list) and all(type(run) is int for run in counts):
        # numbers of any length can stand in a file
        runs = np.array(counts, np.int64) if all(0 <= run <= MAX_PIXELS for run in counts) else None
    else:
        return f'its RLE counts are a {type(counts).__name__}, neither text nor a list of integers'
    if runs is None or (runs < 0).any():
        return 'its RLE counts are damaged'
    if runs.sum() != height * width:
        return f'the run lengths of its RLE sum to {runs.sum()}, the image has {height * width} pixels'
    return runs


def _runs_of_text(counts: str | bytes) -> np.ndarray | None:
    """Run lengths of compressed RLE counts, or None if the text breaks off or holds a foreign character.

    COCO packs a signed number in groups of five bits, lowest first, with bit
    six set while more follow; from the third run on, a number is the
    difference to the run before the last one.
    """
    try:
        text = counts.encode('ascii') if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        return None
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not codes.size:
        return np.zeros(0, np.int64)
    last = (codes & 0x20) == 0
    if codes.min() < 0 or codes.max() > 0x3F or not last[-1]:
        return None
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 6:
        return None
    shifts = 5 * (np.arange(codes.size) - np.repeat(starts, ends - starts + 1))
    numbers = np.add.reduceat((codes & 0x1F) << shifts, starts)
    negative = (codes[ends] & 0x10) != 0
    numbers[negative] -= np.int64(1) << (5 * (ends - starts + 1)[negative])
    # the third run is stored as it is; even and odd runs are two chains of differences from there
    numbers[2::2] = np.cumsum(numbers[2::2])
    numbers[1::2] = np.cumsum(numbers[1::2])
    return numbers


def _polygons_fault(polygons: list, height: int, width: int) -> str | None:
    for polygon in polygons:
        if not isinstance(polygon, list):
            return 'its polygons are not lists of coordinates'
        if len(polygon) < SMALLEST_POLYGON:
            continue
        if len(polygon) % 2:
            return f'one of its polygons has {len(polygon)} coordinates, an x without y'
        if not all(isinstance(value, (int, float)) for value in polygon):
            return 'one of its polygons holds something that is not a number'
        if any(isinstance(value, int) and abs(value) > MAX_PIXELS for value in polygon):
            return f'one of its polygons lies far outside the image of {height} x {width} pixels'
        points = np.array(polygon, np.float64).reshape(-1, 2)
        if not np.isfinite(points).all():
            return 'one of its polygons holds a coordinate that is not finite'
        # pycocotools rasterises every pixel of an outline, also far outside the image
        margin = max(height, width)
        if points.min() < -margin or (points - [width, height]).max() > margin:
            return f'one of its polygons lies far outside the image of {height} x {width} pixels'
    return None
