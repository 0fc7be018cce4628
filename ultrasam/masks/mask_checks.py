"""Checks of masks in bulk: pycocotools sees polygons alone, and those only once they are known to be harmless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.masks.run_lengths import MOST_PIXELS, measure_masks, measure_runs

# letters of run lengths that are looked at together: enough for numpy, few enough for its caches
_BATCH = 1 << 17
# a coordinate may lie this far outside, where tools draw to the far edge of the last pixel
_MARGIN = 1.0
_FEWEST_COORDINATES = 6
# pixels by which a box may differ: of run lengths, and of polygons, whose tools give that of the coordinates
_BOX_SLACK, _POLYGON_BOX_SLACK = 0.5, 1.5
_Found = tuple[Any, str]


class MaskChecks:
    """Looks at masks as they come, and at run lengths many at a time.

    Args:
        sizes: height and width of each image, by its id; may still grow.
        good: hashes of masks that passed; the same mask in another file is not measured again.
    """

    def __init__(self, sizes: Mapping[int, tuple[int, int]], good: set[int]) -> None:
        self._sizes = sizes
        self._good = good
        self._waiting: list[tuple[Any, str, tuple[int, int], Any, Any, int]] = []
        self._letters = 0
        self.masks = 0

    def add(self, annotation: Mapping[str, Any]) -> Iterator[_Found]:
        """Look at a mask; gives what is wrong with it or with those that waited."""
        self.masks += 1
        id_ = annotation.get('id')
        size = self._sizes[annotation['image_id']]
        segmentation = annotation.get('segmentation')
        if fault := form_fault(segmentation, size):
            yield id_, fault
        elif not isinstance(segmentation, dict):
            if fault := _drawn_fault(segmentation, size, annotation):
                yield id_, fault
        elif isinstance(counts := segmentation['counts'], str):
            self._wait(id_, counts, size, annotation.get('bbox'), annotation.get('area'))
        elif fault := _runs_fault(counts, size, annotation):
            yield id_, fault
        if self._letters >= _BATCH:
            yield from self.finish()

    def _wait(self, id_: Any, counts: str, size_hw: tuple[int, int], box: Any, area: Any) -> None:
        mark = hash((counts, size_hw, repr(box), area))
        if mark not in self._good:
            self._waiting.append((id_, counts, size_hw, box, area, mark))
            self._letters += len(counts)

    def finish(self) -> Iterator[_Found]:
        """Look at those that wait."""
        waiting, self._waiting, self._letters = self._waiting, [], 0
        if not waiting:
            return
        measures = measure_masks([one[1] for one in waiting], np.array([one[2] for one in waiting]))
        for place, (id_, _, _, box, area, mark) in enumerate(waiting):
            if not measures.is_valid[place]:
                yield id_, 'masks whose run lengths do not fill their image'
            elif measures.areas[place] == 0:
                yield id_, 'masks without a pixel'
            elif measures.areas[place] != area:
                yield id_, 'areas that are not those of the mask'
            elif not _is_box_of(measures.boxes_xywh[place], box, _BOX_SLACK):
                yield id_, 'boxes that are not those of the mask'
            else:
                self._good.add(mark)


def form_fault(segmentation: Any, size_hw: tuple[int, int]) -> str:
    """What keeps a segmentation from being decoded; the letters of compressed run lengths are not looked at.

    Args:
        segmentation: polygons, run lengths, or compressed run lengths.
        size_hw: of the image, in pixels.

    Returns:
        A kind of fault; empty if there is none.
    """
    if not isinstance(segmentation, dict):
        return _polygons_fault(segmentation, size_hw)
    if segmentation.get('size') != list(size_hw):
        return 'masks of another size than their image'
    counts = segmentation.get('counts')
    return '' if isinstance(counts, str) else _uncompressed_fault(counts, size_hw)


def _is_box_of(found: np.ndarray, box: Any, slack: float) -> bool:
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)
    return is_box and bool(np.abs(found - np.array(box, np.float64)).max() <= slack)


def _runs_fault(counts: Any, size_hw: tuple[int, int], annotation: Mapping[str, Any]) -> str:
    area, box = measure_runs(counts, size_hw)
    if annotation.get('area') != area:
        return 'areas that are not those of the mask'
    is_box = _is_box_of(box, annotation.get('bbox'), _BOX_SLACK)
    return '' if is_box else 'boxes that are not those of the mask'


def _drawn_fault(polygons: Any, size_hw: tuple[int, int], annotation: Mapping[str, Any]) -> str:
    """Compare area and box with the polygons as pixels; tools that measure coordinates differ by up to the outline."""
    rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *size_hw))
    pixels, area = int(coco_mask.area(rle)), annotation.get('area')
    if not pixels:
        return 'masks without a pixel'
    if not isinstance(area, int | float) or abs(area - pixels) > _outline(polygons):
        return 'areas that are not those of the mask'
    is_box = _is_box_of(coco_mask.toBbox(rle), annotation.get('bbox'), _POLYGON_BOX_SLACK)
    return '' if is_box else 'boxes that are not those of the mask'


def _outline(polygons: list[list[float]]) -> float:
    """Length of the outlines in pixels, closed."""
    points = [np.array(polygon, np.float64).reshape(-1, 2) for polygon in polygons]
    return float(sum(np.hypot(*(one - np.roll(one, 1, axis=0)).T).sum() for one in points))


def _uncompressed_fault(counts: Any, size_hw: tuple[int, int]) -> str:
    if not isinstance(counts, list) or not all(type(run) is int and run >= 0 for run in counts):
        return 'masks that are no run lengths'
    height, width = size_hw
    if height * width > MOST_PIXELS or sum(counts) != height * width:
        return 'masks whose run lengths do not fill their image'
    return '' if sum(counts[1::2]) else 'masks without a pixel'


def _polygons_fault(polygons: Any, size_hw: tuple[int, int]) -> str:
    if not isinstance(polygons, list) or not polygons:
        return 'annotations without a mask'
    if size_hw[0] * size_hw[1] > MOST_PIXELS:
        return 'masks that leave their image'
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < _FEWEST_COORDINATES or len(polygon) % 2:
            return 'polygons of fewer than three points'
        # a comparison, since whole numbers of any length are finite, and too large for a float
        if not all(isinstance(value, int | float) and abs(value) < MOST_PIXELS for value in polygon):
            return 'polygons with coordinates that are no pixels'
        x, y = polygon[::2], polygon[1::2]
        outside = min(*x, *y) < -_MARGIN or max(x) > size_hw[1] + _MARGIN or max(y) > size_hw[0] + _MARGIN
        if outside:
            return 'masks that leave their image'
    return ''
