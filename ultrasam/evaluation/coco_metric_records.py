"""Truth and predictions of a run as COCO records, checked before any library sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ultrasam.coco.records import CocoRecords
from ultrasam.errors import AnnotationError, InputError
from ultrasam.masks.run_lengths import RunLengthBatch
from ultrasam.masks.segmentation import compressed_rle, is_empty_segmentation, segmentation_fault

_Record = dict[str, Any]
_Size = tuple[int, int]


@dataclass(frozen=True)
class Truth:
    """What predictions are compared with.

    Args:
        name: how errors call it.
        numbers: of the images, from 0, by their ids.
        sizes_hw: of the images, by number, pixels.
        records: ``id``, ``image_id`` (a number), ``category_id`` (a label), ``bbox`` (xywh), ``area``, ``iscrowd``
            and ``mask`` (any segmentation, or None).
    """

    name: str
    numbers: dict[Any, int]
    sizes_hw: list[_Size]
    records: list[_Record]

    def of_kind(self, kind: str) -> list[_Record]:
        """Records with checked masks if these are compared, and without any otherwise.

        Args:
            kind: ``'bbox'`` or ``'segm'``.

        Raises:
            AnnotationError: a mask is missing or faulty.
        """
        boxes = [{key: value for key, value in record.items() if key != 'mask'} for record in self.records]
        if kind != 'segm':
            return boxes
        masks = [record['mask'] for record in self.records]
        missing = sum(map(is_empty_segmentation, masks))
        if missing:
            raise AnnotationError(
                f"{self.name}: {missing} of {len(masks)} objects have no mask: evaluate metric=['bbox'], or give "
                'them masks'
            )
        sizes = [self.sizes_hw[record['image_id']] for record in self.records]
        if fault := _measured(masks, sizes)[1]:
            raise AnnotationError(f'{self.name}: an object cannot be compared: {fault}')
        return [
            dict(record, segmentation=compressed_rle(mask, *size))
            for record, mask, size in zip(boxes, masks, sizes, strict=True)
        ]


def truth_of_file(records: CocoRecords, cat_ids: Sequence[Any], name: str) -> Truth:
    """Images of a file, and annotations of some categories.

    Args:
        records: of the file, which was checked when it was opened.
        cat_ids: categories, in the order of their labels.
        name: how errors call it.
    """
    labels = {cat_id: label for label, cat_id in enumerate(cat_ids)}
    images = [records.image(number) for number in range(len(records))]
    numbers = _numbers_of(image['id'] for image in images)
    sizes = {numbers[image['id']]: (image['height'], image['width']) for image in images}
    truths = [
        {
            'image_id': numbers[image['id']],
            'category_id': labels[one['category_id']],
            'bbox': one['bbox'],
            'area': one['area'],
            'iscrowd': int(bool(one.get('iscrowd', 0))),
            'mask': one.get('segmentation'),
        }
        for place, image in enumerate(images)
        for one in records.annotations(place, (image['height'], image['width']))
        if one['category_id'] in labels
    ]
    return Truth(name, numbers, [sizes[number] for number in range(len(sizes))], _counted(truths))


def truth_of_samples(samples: Sequence[_Record]) -> Truth:
    """Images and instances of samples; areas are those of the boxes, as in mmdet.

    Args:
        samples: ``img_id``, ``size_hw`` and ``instances`` of each.
    """
    by_id = {sample['img_id']: sample for sample in samples}
    numbers = _numbers_of(by_id)
    truths = []
    for id_, number in numbers.items():
        for one in by_id[id_]['instances']:
            x1, y1, x2, y2 = map(float, one['bbox'])
            truths.append(
                {
                    'image_id': number,
                    'category_id': int(one['bbox_label']),
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'area': (x2 - x1) * (y2 - y1),
                    'iscrowd': int(one.get('ignore_flag', 0)),
                    'mask': one.get('mask'),
                }
            )
    return Truth('samples', numbers, [by_id[id_]['size_hw'] for id_ in numbers], _counted(truths))


def predictions_of(results: Sequence[_Record], truth: Truth, kind: str, classes: int) -> list[_Record]:
    """Predictions as COCO records.

    Args:
        results: ``img_id``, ``bboxes`` (N, 4), ``scores``, ``labels``, and where there are ``masks`` (compressed RLE)
            and ``mask_scores``, of each image.
        truth: that they are compared with.
        kind: ``'bbox'`` or ``'segm'``.
        classes: how many there are.

    Raises:
        InputError: of an image that is not there, of no class, not finite, or with a damaged mask.
    """
    found: list[_Record] = []
    for result in results:
        where = f'predictions of image {result["img_id"]!r}'
        if result['img_id'] not in truth.numbers:
            raise InputError(f'{where}: the truth, {truth.name}, has no such image')
        if kind == 'segm' and 'masks' not in result:
            raise InputError(f"{where}: no masks, which metric 'segm' compares: evaluate metric=['bbox']")
        found += _records_of(result, truth.numbers[result['img_id']], kind, classes, where)
    if kind == 'segm':
        sizes = [truth.sizes_hw[record['image_id']] for record in found]
        areas, fault = _measured([record['segmentation'] for record in found], sizes)
        if fault:
            raise InputError(f'a predicted mask cannot be compared: {fault}')
        for record, area in zip(found, areas.tolist(), strict=True):
            record['area'] = area
    return _counted(found)


def _records_of(result: _Record, number: int, kind: str, classes: int, where: str) -> list[_Record]:
    boxes = np.asarray(result['bboxes'], np.float64).reshape(-1, 4)
    scores = result['mask_scores' if kind == 'segm' and 'mask_scores' in result else 'scores']
    labels = np.asarray(result['labels'])
    lengths = {len(boxes), len(scores), len(labels), len(result['masks']) if kind == 'segm' else len(boxes)}
    if len(lengths) > 1:
        raise InputError(f'{where}: boxes, scores, labels and masks differ in number')
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
        raise InputError(f'{where}: a box or score is not finite')
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise InputError(f'{where}: a label is none of {classes} classes')
    records = [
        {
            'image_id': number,
            'category_id': int(label),
            'bbox': [x1, y1, x2 - x1, y2 - y1],
            'area': (x2 - x1) * (y2 - y1),
            'iscrowd': 0,
            'score': float(score),
        }
        for (x1, y1, x2, y2), label, score in zip(boxes.tolist(), labels, scores, strict=True)
    ]
    if kind == 'segm':
        for record, mask in zip(records, result['masks'], strict=True):
            if not _is_packed(mask):
                raise InputError(f'{where}: a mask is no compressed RLE')
            record['segmentation'] = mask
    return records


def _numbers_of(ids: Iterable[Any]) -> dict[Any, int]:
    """Images numbered in the order in which libraries look at them: ascending if the ids are numbers."""
    unique = list(dict.fromkeys(ids))
    if all(isinstance(id_, int) for id_ in unique):
        unique.sort()
    return {id_: number for number, id_ in enumerate(unique)}


def _counted(records: list[_Record]) -> list[_Record]:
    # from 1: pycocotools takes a match with the record 0 for none
    for number, record in enumerate(records, start=1):
        record['id'] = number
    return records


def _is_packed(mask: Any) -> bool:
    return isinstance(mask, dict) and isinstance(mask.get('counts'), (str, bytes))


def _measured(masks: Sequence[Any], sizes_hw: Sequence[_Size]) -> tuple[np.ndarray, str]:
    """Areas of masks in pixels, (N,), 0 for those that are not compressed run lengths, and the first fault."""
    areas, is_good = np.zeros(len(masks), np.int64), np.zeros(len(masks), bool)
    batch: RunLengthBatch[int] = RunLengthBatch()

    def measure() -> None:
        for place, area, _ in batch.take():
            areas[place], is_good[place] = max(area, 0), area >= 0

    for place, (mask, size) in enumerate(zip(masks, sizes_hw, strict=True)):
        is_of_image = _is_packed(mask) and list(mask.get('size') or ()) == list(size)
        if is_of_image and batch.add(place, _text(mask['counts']), size):
            measure()
    measure()
    faults = (
        segmentation_fault(masks[place], *sizes_hw[place]) for place in np.flatnonzero(~is_good).tolist()
    )
    return areas, next(filter(None, faults), '')


def _text(counts: str | bytes) -> str:
    return counts.decode('latin-1') if isinstance(counts, bytes) else counts
