"""What can be wrong with the records of a COCO file, and which annotations nothing can be learned from."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

from pycocotools import mask as coco_mask

from ultrasam.coco.file_names import name_fault
from ultrasam.errors import AnnotationError
from ultrasam.masks.mask_checks import is_box_of
from ultrasam.masks.segmentation import compressed_rle, is_empty_segmentation, segmentation_fault

_SHOWN_FAULTS = 5
LARGEST_SIDE = (1 << 31) - 1
_IDS = ('id', 'image_id', 'category_id')

# why an annotation is left out, whatever the config; the number is its place here
REASONS = ('', "marked 'ignore'", 'without area inside the image', 'smaller than one pixel')
_USABLE, _IGNORED, _OUTSIDE, _TINY = range(len(REASONS))


class Faults:
    """Counts faults and keeps the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, fault: str) -> None:
        """Note a fault."""
        self.count += 1
        if len(self.first) < _SHOWN_FAULTS:
            self.first.append(fault)

    def refuse(self, name: str) -> None:
        """See that there is none.

        Raises:
            AnnotationError: with their number and the first of them.
        """
        if not self.count:
            return
        shown = ''.join(f'\n  {fault}' for fault in self.first)
        more = f'\n  ... and {self.count - _SHOWN_FAULTS} more' if self.count > _SHOWN_FAULTS else ''
        what = 'record, mend or remove it' if self.count == 1 else 'records, mend or remove them'
        raise AnnotationError(f'{name}: {self.count} faulty {what}:{shown}{more}')


def image_fault(image: Mapping[str, Any]) -> str:
    """What is wrong with an image, or nothing."""
    sizes = (image.get('height'), image.get('width'))
    if not is_id(image.get('id')) or not isinstance(image.get('file_name'), str):
        return f'image {image.get("id", image.get("file_name"))!r}: no id or no file_name'
    if not all(type(size) is int and 0 < size <= LARGEST_SIDE for size in sizes):
        return f'image {image["id"]!r}: height and width {sizes} must be positive integers'
    if fault := name_fault(image['file_name']):
        return f'image {image["id"]!r}: its file_name {image["file_name"]!r} {fault}'
    return ''


def category_fault(category: Mapping[str, Any]) -> str:
    """What is wrong with a category, or nothing."""
    name = category.get('name')
    if not is_id(category.get('id')) or not isinstance(name, str) or not name:
        return f'category {category.get("id")!r}: no id or no name'
    return ''


def is_id(value: Any) -> bool:
    """Whether this can be the id of a record."""
    return type(value) in (int, str)


def reference_fault(annotation: Mapping[str, Any], images: Container[Any], categories: Container[Any]) -> str:
    """Return what is wrong with an annotation, its id and segmentation aside, or ''."""
    image_id, category_id = annotation.get('image_id'), annotation.get('category_id')
    if not is_id(image_id) or image_id not in images:
        return f'its image_id {image_id!r} is not among the images'
    if not is_id(category_id) or category_id not in categories:
        return f'its category_id {category_id!r} is not among the categories'
    box = annotation.get('bbox')
    if box is None and is_empty_segmentation(annotation.get('segmentation')):
        return 'neither bbox nor segmentation'
    if box is not None and not (isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))):
        return f'its bbox {box} is not x, y, width, height'
    area = annotation.get('area')
    if area is not None and not _is_number(area):
        return f'its area {area!r} is not a number'
    return ''


def mask_fault(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> str:
    """What is wrong with the segmentation of an annotation, or with its box and area by it, or nothing."""
    segmentation = annotation.get('segmentation')
    fault = segmentation_fault(segmentation, *size_hw)
    if fault or is_empty_segmentation(segmentation):
        return fault or ''
    rle = compressed_rle(segmentation, *size_hw)
    area = int(coco_mask.area(rle))
    return measure_fault(annotation, area, coco_mask.toBbox(rle).tolist()) if area else ''


def measure_fault(annotation: Mapping[str, Any], area: int, box_xywh: Sequence[float]) -> str:
    """Return what is wrong with the box and the area of an annotation whose mask has these, or ''."""
    box, stated = annotation.get('bbox'), annotation.get('area')
    if box is not None and not is_box_of(box, box_xywh):
        return f'its bbox {box} is not that of its mask, {list(box_xywh)}'
    if stated is not None and stated <= 0 < area:
        return f'its area is {stated}, its mask has {area} pixels'
    return ''


def _is_number(value: Any) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_complete(annotation: Mapping[str, Any]) -> bool:
    """Return True if an annotation has a box and an area."""
    return annotation.get('bbox') is not None and annotation.get('area') is not None


def complete(annotation: dict[str, Any], size_hw: tuple[int, int]) -> None:
    """Add the box and the area that an annotation without fault lacks."""
    if is_complete(annotation):
        return
    if is_empty_segmentation(annotation.get('segmentation')):
        found = {'area': annotation['bbox'][2] * annotation['bbox'][3]}
    else:
        rle = compressed_rle(annotation['segmentation'], *size_hw)
        found = {'area': float(coco_mask.area(rle)), 'bbox': coco_mask.toBbox(rle).tolist()}
    annotation.update({key: value for key, value in found.items() if annotation.get(key) is None})


def with_whole_ids(record: dict[str, Any]) -> dict[str, Any]:
    """Write ids such as 1.0, as pandas stores a column with a gap, as the integers that they are; in place."""
    for key in _IDS:
        value = record.get(key)
        if type(value) is float and value.is_integer():
            record[key] = int(value)
    return record


def reason_to_leave_out(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> int:
    """Why mmdet's ``CocoDataset`` drops a complete annotation: a place in ``REASONS``, 0 if it does not."""
    x, y, width, height = annotation['bbox']
    if annotation.get('ignore', False):
        return _IGNORED
    if min(x + width, size_hw[1]) <= max(x, 0) or min(y + height, size_hw[0]) <= max(y, 0):
        return _OUTSIDE
    if annotation['area'] <= 0 or width < 1 or height < 1:
        return _TINY
    return _USABLE
