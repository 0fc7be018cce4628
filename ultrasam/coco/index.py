"""Where each record of a COCO file stands, and the little that must be known of it before it is read."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import IO, Any, Protocol

import numpy as np

from ultrasam.coco.record_checks import (
    Faults,
    category_fault,
    complete,
    image_fault,
    is_complete,
    is_id,
    mask_fault,
    measure_fault,
    reason_to_leave_out,
    reference_fault,
    with_whole_ids,
)
from ultrasam.coco.scanning import INFO, SECTIONS, scan_coco
from ultrasam.errors import AnnotationError
from ultrasam.masks.run_lengths import RunLengthBatch
from ultrasam.masks.segmentation import segmentation_fault

_LARGEST = 1 << 63


class Content(Protocol):
    """Bytes of a COCO file."""

    name: str

    def open(self) -> IO[bytes]:
        """Return all of them as a file, from its start."""

    def read(self, start: int, stop: int) -> bytes:
        """Return some of them."""


@dataclass(frozen=True)
class CocoIndex:
    """What a COCO file holds and where: N images, M annotations, the latter in the order of their images.

    Args:
        info: What the file says of itself.
        categories: ``id`` and ``name`` of each.
        image_spans: First byte of each image in the file, and the one behind it, (N, 2), int64.
        sides_hw: Height and width of each image in pixels, (N, 2), int32.
        first_annotation: Those of image i are ``first_annotation[i]`` to ``[i + 1]``, (N + 1,), int64.
        annotation_spans: Bytes of each annotation as above, (M, 2), int64.
        categories_of: Places in ``categories``, (M,), int32.
        reasons: Places in ``REASONS``: why an annotation is left out, 0 if it is not, (M,), uint8.
        names: File names of all images in UTF-8, one after the other, (bytes,), uint8.
        name_ends: Where each ends in ``names``, (N,), int64.
    """

    info: dict[str, Any]
    categories: list[dict[str, Any]]
    image_spans: np.ndarray
    sides_hw: np.ndarray
    first_annotation: np.ndarray
    annotation_spans: np.ndarray
    categories_of: np.ndarray
    reasons: np.ndarray
    names: np.ndarray
    name_ends: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their names."""
        return {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name not in ('info', 'categories')
        }

    def file_names(self) -> list[str]:
        """Return the file name of each image."""
        text, ends = self.names.tobytes(), self.name_ends.tolist()
        return [
            text[start:stop].decode('utf-8', 'surrogatepass')
            for start, stop in zip([0, *ends], ends, strict=False)
        ]


def build_index(content: Content) -> tuple[CocoIndex, str]:
    """Read a COCO file once, check its records, and note where they stand; memory grows by bytes a record.

    Returns:
        The index, and the SHA-256 of the file.

    Raises:
        AnnotationError: It is damaged, not a COCO file, or has faulty records.
    """
    digest = hashlib.sha256()
    builder = _Builder()
    with content.open() as file:
        for section, record, start, stop in scan_coco(file, content.name, digest.update):
            builder.add(section, record, start, stop)
    for section in SECTIONS:
        if not builder.counts[section]:
            raise AnnotationError(
                f'annotation file {content.name} has no {section}: export it as COCO instances, with at least one'
            )
    for start, stop in builder.unchecked():
        builder.check(with_whole_ids(json.loads(content.read(start, stop))))
    return builder.finish(content.name), digest.hexdigest()


class _Builder:
    """Takes the records of a file in its order."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._faults, self._annotation_faults = Faults(), Faults()
        self._info: dict[str, Any] = {}
        self._categories: list[dict[str, Any]] = []
        self._places: dict[Any, int] = {}
        self._rows: dict[Any, int] = {}
        self._sizes: list[tuple[int, int]] = []
        self._image_spans = array('q')
        self._names, self._name_ends = bytearray(), array('q')
        self._known_names: set[str] = set()
        # of annotations: bytes in the file, ids, and what is known once they are checked
        self._spans, self._ids = array('q'), array('q')
        self._other_ids: Counter[str] = Counter()
        self._checked = 0
        self._row_of, self._place_of, self._reasons = array('i'), array('i'), bytearray()
        self._batch: RunLengthBatch[tuple[Mapping[str, Any], tuple[int, int]]] = RunLengthBatch()

    def add(self, section: str, record: dict[str, Any], start: int, stop: int) -> None:
        """Take a record and its bytes in the file."""
        if section == INFO:
            self._info = record
            return
        self.counts[section] += 1
        with_whole_ids(record)
        if section == 'categories':
            self._add_category(record)
        elif section == 'images':
            self._add_image(record, start, stop)
        else:
            self._spans.extend((start, stop))
            self._note_id(record.get('id'))
            # annotations that come before images or categories are read a second time
            if self.counts['images'] and self.counts['categories']:
                self.check(record)

    def unchecked(self) -> list[list[int]]:
        """Return the bytes of the annotations that came before the images or categories."""
        return np.array(self._spans, np.int64).reshape(-1, 2)[self._checked :].tolist()

    def check(self, annotation: dict[str, Any]) -> None:
        """Check an annotation; run lengths many at a time."""
        self._checked += 1
        if self._faults.count:
            return
        fault = '' if is_id(annotation.get('id')) else 'no id'
        fault = fault or reference_fault(annotation, self._rows, self._places)
        row = -1 if fault else self._rows[annotation['image_id']]
        size = (0, 0) if fault else self._sizes[row]
        if not fault and _is_packed(annotation, size) and is_complete(annotation):
            if self._batch.add((annotation, size), annotation['segmentation']['counts'], size):
                self._check_masks()
        elif fault := fault or mask_fault(annotation, size):
            self._annotation_faults.add(f'annotation {annotation.get("id")!r}: {fault}')
            return
        complete(annotation, size)
        self._row_of.append(row)
        self._place_of.append(self._places[annotation['category_id']])
        self._reasons.append(reason_to_leave_out(annotation, size))

    def finish(self, name: str) -> CocoIndex:
        """Return the index; raises AnnotationError for faulty records."""
        self._check_masks()
        ids, counts = np.unique(np.array(self._ids, np.int64), return_counts=True)
        shared = [(str(id_), count) for id_, count in zip(ids[counts > 1], counts[counts > 1], strict=True)]
        for id_, count in shared + [item for item in self._other_ids.items() if item[1] > 1]:
            self._faults.add(f'{count} annotations share the id {id_}')
        (self._faults if self._faults.count else self._annotation_faults).refuse(name)
        rows = np.array(self._row_of, np.int32)
        order = np.argsort(rows, kind='stable')
        per_image = np.bincount(rows, minlength=len(self._sizes))
        return CocoIndex(
            info=self._info,
            categories=self._categories,
            image_spans=np.array(self._image_spans, np.int64).reshape(-1, 2),
            sides_hw=np.array(self._sizes, np.int32).reshape(-1, 2),
            first_annotation=np.concatenate([[0], np.cumsum(per_image)]),
            annotation_spans=np.array(self._spans, np.int64).reshape(-1, 2)[order],
            categories_of=np.array(self._place_of, np.int32)[order],
            reasons=np.frombuffer(bytes(self._reasons), np.uint8)[order],
            names=np.frombuffer(bytes(self._names), np.uint8),
            name_ends=np.array(self._name_ends, np.int64),
        )

    def _add_category(self, record: dict[str, Any]) -> None:
        if fault := category_fault(record):
            self._faults.add(fault)
        elif record['id'] in self._places:
            self._faults.add(f'category {record["id"]!r}: another has the same id')
        else:
            self._places[record['id']] = len(self._categories)
            self._categories.append({'id': record['id'], 'name': record['name']})

    def _add_image(self, record: dict[str, Any], start: int, stop: int) -> None:
        fault = image_fault(record)
        if not fault and record['id'] in self._rows:
            fault = f'image {record["id"]!r}: another has the same id'
        if not fault and record['file_name'] in self._known_names:
            fault = f'image {record["id"]!r}: another has the file_name {record["file_name"]!r}'
        if fault:
            self._faults.add(fault)
            return
        self._known_names.add(record['file_name'])
        self._rows[record['id']] = len(self._sizes)
        self._sizes.append((record['height'], record['width']))
        self._image_spans.extend((start, stop))
        self._names += record['file_name'].encode('utf-8', 'surrogatepass')
        self._name_ends.append(len(self._names))

    def _note_id(self, id_: Any) -> None:
        if type(id_) is int and -_LARGEST <= id_ < _LARGEST:
            self._ids.append(id_)
        else:
            self._other_ids[repr(id_)] += 1

    def _check_masks(self) -> None:
        """Check the run lengths that wait."""
        for (annotation, size), area, box in self._batch.take():
            if area < 0:
                fault = segmentation_fault(annotation['segmentation'], *size) or ''
            else:
                fault = measure_fault(annotation, area, box) if area else ''
            if fault:
                self._annotation_faults.add(f'annotation {annotation["id"]!r}: {fault}')


def _is_packed(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> bool:
    """Return True if the mask is compressed run lengths of an image of this size."""
    mask = annotation.get('segmentation')
    return (
        isinstance(mask, dict) and isinstance(mask.get('counts'), str) and mask.get('size') == list(size_hw)
    )
