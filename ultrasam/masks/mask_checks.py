"""Checks of masks with their areas and boxes, run lengths many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.masks.run_lengths import RunLengthBatch
from ultrasam.masks.segmentation import (
    SMALLEST_POLYGON,
    compressed_rle,
    find_fault,
    is_empty_segmentation,
)

# A box of coordinates differs a little from that of pixels: more than this many pixels, and this share of the larger
# side, is another box.
_BOX_SLACK, _BOX_SHARE = 2.0, 0.05
_AREA = 'areas that are not those of the mask'
_BOX = 'boxes that are not those of the mask'
_Found = tuple[Any, str]


def is_box_of(box: Any, found_xywh: Sequence[float]) -> bool:
    """Return True if a stated box is that of a mask, within the one tolerance for boxes.

    Args:
        box: What a record states as x, y, width and height.
        found_xywh: The box of the mask, in pixels.
    """
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
        return False
    slack = max(_BOX_SLACK, max(found_xywh[2:]) * _BOX_SHARE)
    # whole numbers of any length can stand in a file: they are compared as such
    return all(abs(one - int(other)) <= slack for one, other in zip(box, found_xywh, strict=True))


class MaskChecks:
    """Looks at masks as they come, and at run lengths many at a time.

    Args:
        sizes: height and width of each image, by its id; may still grow.
        good: hashes of masks that passed; the same mask in another file is not measured again.
    """

    def __init__(self, sizes: Mapping[int, tuple[int, int]], good: set[int]) -> None:
        self._sizes = sizes
        self._good = good
        self._batch: RunLengthBatch[tuple[Mapping[str, Any], tuple[int, int], int]] = RunLengthBatch()
        self.masks = 0

    def add(self, annotation: Mapping[str, Any]) -> Iterator[_Found]:
        """Look at a mask; gives what is wrong with it or with those that waited."""
        self.masks += 1
        size = self._sizes[annotation['image_id']]
        mask = annotation.get('segmentation')
        if isinstance(mask, dict) and isinstance(mask.get('counts'), str) and mask.get('size') == list(size):
            counts = mask['counts']
            mark = hash((counts, size, repr((annotation.get('bbox'), annotation.get('area')))))
            if mark not in self._good and self._batch.add((annotation, size, mark), counts, size):
                yield from self.finish()
        elif fault := _fault_of(annotation, size):
            yield annotation.get('id'), fault

    def finish(self) -> Iterator[_Found]:
        """Look at those that wait."""
        for (annotation, size, mark), area, box in self._batch.take():
            if area < 0:
                yield annotation.get('id'), _fault_of(annotation, size)
            elif fault := _measure_fault(annotation, area, box, slack=0):
                yield annotation.get('id'), fault
            else:
                self._good.add(mark)


def _fault_of(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> str:
    """Return the kind of the fault of one annotation, or ''."""
    segmentation = annotation.get('segmentation')
    if fault := find_fault(segmentation, *size_hw):
        return fault.kind
    if is_empty_segmentation(segmentation):
        return 'polygons of fewer than three points' if segmentation else 'annotations without a mask'
    rle = compressed_rle(segmentation, *size_hw)
    # tools that measure coordinates differ from pixels by up to the outline
    slack = _outline(segmentation) if isinstance(segmentation, list) else 0
    return _measure_fault(annotation, int(coco_mask.area(rle)), coco_mask.toBbox(rle).tolist(), slack)


def _measure_fault(annotation: Mapping[str, Any], area: int, box_xywh: Sequence[float], slack: float) -> str:
    stated = annotation.get('area')
    if not area:
        return 'masks without a pixel'
    if stated is not None and not (isinstance(stated, int | float) and abs(stated - area) <= slack):
        return _AREA
    return '' if is_box_of(annotation.get('bbox'), box_xywh) else _BOX


def _outline(polygons: list[list[float]]) -> float:
    """Return the length of the outlines in pixels, closed."""
    points = [
        np.array(polygon, np.float64).reshape(-1, 2)
        for polygon in polygons
        if len(polygon) >= SMALLEST_POLYGON
    ]
    return float(sum(np.hypot(*(one - np.roll(one, 1, axis=0)).T).sum() for one in points))
