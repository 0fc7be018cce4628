"""Where each record of a COCO file stands, and the little that must be known of it before it is read."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from ultrasam.coco.json_stream import SECTIONS
from ultrasam.coco.record_checks import (
    Faults,
    SharedIds,
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
from ultrasam.errors import AnnotationError
from ultrasam.masks.run_lengths import RunLengthBatch
from ultrasam.masks.segmentation import segmentation_fault


@dataclass(frozen=True)
class CocoIndex:
    """What a COCO file holds and where: N images, M annotations, the latter in the order of their images.

    Args:
        categories: of the file, ``id`` and ``name`` of each.
        image_spans: (N, 2), int64, first byte of each image in the file, and the one behind it.
        sides_hw: (N, 2), int32, pixels.
        first_annotation: (N + 1,), int64, those of image i are ``first_annotation[i]`` to ``[i + 1]``.
        annotation_spans: (M, 2), int64, bytes as above.
        categories_of: (M,), int32, places in ``categories``.
        reasons: (M,), uint8, places in ``REASONS``: why an annotation is left out, 0 if it is not.
        names: (bytes,), uint8, file names of all images in UTF-8, one after the other.
        name_ends: (N,), int64, where each ends in ``names``.
    """

    categories: list[dict[str, Any]]
    image_spans: np.ndarray
    sides_hw: np.ndarray
    first_annotation: np.ndarray
    annotation_spans: np.ndarray
    categories_of: np.ndarray
    reasons: np.ndarray
    names: np.ndarray
    name_ends: np.ndarray

    @classmethod
    def array_names(cls) -> list[str]:
        """Names of the arrays."""
        return [one.name for one in fields(cls) if one.name != 'categories']

    def file_names(self) -> list[str]:
        """File name of each image."""
        text, ends = self.names.tobytes(), self.name_ends.tolist()
        return [
            text[start:stop].decode('utf-8', 'surrogatepass')
            for start, stop in zip([0, *ends], ends, strict=False)
        ]


class Indexer:
    """Takes the records of a COCO file, checks them and notes where they stand.

    Args:
        name: how errors call the file.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._sections: dict[str, _Section] = {}
        self._annotations: _Annotations | None = None
        self._spans = array('q')

    def begin(self, section: str, *, is_list: bool) -> None:
        """Start a section; of two with the same name the last one counts."""
        kind = {'images': _Images, 'categories': _Categories}.get(section, _Section)
        self._sections[section] = kind(is_list=is_list)
        if section == 'annotations':
            self._spans = array('q')
            is_known = {'images', 'categories'} <= self._sections.keys()
            self._annotations = self._checker() if is_known else None
        else:
            # annotations that came before are checked once the file is read
            self._annotations = None

    def add(self, section: str, record: Any, start: int, stop: int) -> None:
        """Take a record, and the bytes of the file that spell it."""
        part = self._sections[section]
        if isinstance(record, dict):
            with_whole_ids(record)
        part.add(record, start, stop)
        if section == 'annotations' and not part.is_odd:
            self._spans.extend((start, stop))
            if self._annotations is not None:
                self._annotations.add(record)

    def unchecked(self) -> np.ndarray:
        """Bytes, (M, 2), of the annotations to give to ``add_again``: the file tells of images behind them.

        Raises:
            AnnotationError: a section is missing, empty or no list of records.
        """
        for section in SECTIONS:
            part = self._sections.get(section)
            if part is None or part.is_odd:
                raise AnnotationError(
                    f'annotation file {self._name} has no list of records {section!r}: '
                    'export it as COCO instances'
                )
            if not part.count:
                raise AnnotationError(
                    f'annotation file {self._name} has no {section}: nothing can be learned or tested with it'
                )
        if self._annotations is not None:
            return np.zeros((0, 2), np.int64)
        return np.array(self._spans, np.int64).reshape(-1, 2)

    def add_again(self, annotation: dict[str, Any]) -> None:
        """Take an annotation now that all images are known."""
        if self._annotations is None:
            self._annotations = self._checker()
        self._annotations.add(with_whole_ids(annotation))

    def finish(self) -> CocoIndex:
        """The index.

        Raises:
            AnnotationError: records are faulty.
        """
        annotations = self._annotations or self._checker()
        annotations.check_masks()
        faults = Faults()
        for section in SECTIONS:
            for fault in self._sections[section].ids.faults(section):
                faults.add(fault)
        for part in (annotations.images, annotations.categories):
            faults.extend(part.faults)
        if not faults.count:
            faults = annotations.faults
        faults.refuse(self._name)
        return CocoIndex(
            categories=annotations.categories.kept,
            **annotations.images.columns(),
            **annotations.columns(np.frombuffer(self._spans, np.int64).reshape(-1, 2)),
        )

    def _checker(self) -> _Annotations:
        images, categories = self._sections['images'], self._sections['categories']
        return _Annotations(cast(_Images, images), cast(_Categories, categories))


class _Section:
    """Records of one kind."""

    def __init__(self, *, is_list: bool) -> None:
        self.is_odd = not is_list
        self.count = 0
        self.ids = SharedIds()
        self.faults = Faults()

    def add(self, record: Any, start: int, stop: int) -> None:
        self.is_odd = self.is_odd or not isinstance(record, dict)
        self.count += 1
        if not self.is_odd:
            self.ids.add(record.get('id'))
            self.take(record, start, stop)

    def take(self, record: dict[str, Any], start: int, stop: int) -> None:
        """Note what is needed of a record."""


class _Categories(_Section):
    def __init__(self, *, is_list: bool) -> None:
        super().__init__(is_list=is_list)
        self.kept: list[dict[str, Any]] = []
        self.places: dict[Any, int] = {}

    def take(self, record: dict[str, Any], start: int, stop: int) -> None:
        if fault := category_fault(record):
            self.faults.add(fault)
            return
        self.places[record['id']] = len(self.kept)
        self.kept.append({'id': record['id'], 'name': record['name']})


class _Images(_Section):
    def __init__(self, *, is_list: bool) -> None:
        super().__init__(is_list=is_list)
        self.rows: dict[Any, int] = {}
        self.sizes: list[tuple[int, int]] = []
        self._spans = array('q')
        self._names = bytearray()
        self._known: set[str] = set()
        self._name_ends = array('q')

    def take(self, record: dict[str, Any], start: int, stop: int) -> None:
        if fault := image_fault(record):
            self.faults.add(fault)
            return
        if record['file_name'] in self._known:
            self.faults.add(f'image {record["id"]!r}: another has the file_name {record["file_name"]!r}')
        self._known.add(record['file_name'])
        self.rows[record['id']] = len(self.sizes)
        self.sizes.append((record['height'], record['width']))
        self._spans.extend((start, stop))
        self._names += record['file_name'].encode('utf-8', 'surrogatepass')
        self._name_ends.append(len(self._names))

    def columns(self) -> dict[str, np.ndarray]:
        """Arrays of the index."""
        sides = [side for size in self.sizes for side in size]
        return {
            'image_spans': np.frombuffer(self._spans, np.int64).reshape(-1, 2),
            'sides_hw': np.array(sides, np.int32).reshape(-1, 2),
            'names': np.frombuffer(bytes(self._names), np.uint8),
            'name_ends': np.frombuffer(self._name_ends, np.int64),
        }


class _Annotations:
    """Checks annotations, run lengths many at a time."""

    def __init__(self, images: _Images, categories: _Categories) -> None:
        self.images = images
        self.categories = categories
        self.faults = Faults()
        self._rows = array('i')
        self._places = array('i')
        self._reasons = bytearray()
        self._batch: RunLengthBatch[tuple[Mapping[str, Any], tuple[int, int]]] = RunLengthBatch()

    def add(self, annotation: dict[str, Any]) -> None:
        """Check an annotation, and complete it."""
        if self.images.faults.count or self.categories.faults.count:
            return
        fault = '' if is_id(annotation.get('id')) else 'no id'
        fault = fault or reference_fault(annotation, self.images.rows, self.categories.places)
        row = -1 if fault else self.images.rows[annotation['image_id']]
        size = (0, 0) if fault else self.images.sizes[row]
        if not fault and _is_packed(annotation, size) and is_complete(annotation):
            if self._batch.add((annotation, size), annotation['segmentation']['counts'], size):
                self.check_masks()
        else:
            # what waits comes first in the file
            self.check_masks()
            fault = fault or mask_fault(annotation, size)
            if fault:
                self.faults.add(f'annotation {annotation.get("id")!r}: {fault}')
                return
            complete(annotation, size)
        self._rows.append(row)
        self._places.append(self.categories.places[annotation['category_id']])
        self._reasons.append(reason_to_leave_out(annotation, size))

    def check_masks(self) -> None:
        """Check the run lengths that wait."""
        for (annotation, size), area, box in self._batch.take():
            if area < 0:
                fault = segmentation_fault(annotation['segmentation'], *size) or ''
            else:
                fault = measure_fault(annotation, area, box) if area else ''
            if fault:
                self.faults.add(f'annotation {annotation["id"]!r}: {fault}')

    def columns(self, spans: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays of the index, from the bytes of each annotation in the order of the file."""
        rows = np.frombuffer(self._rows, np.int32)
        order = np.argsort(rows, kind='stable')
        per_image = np.bincount(rows, minlength=len(self.images.sizes))
        return {
            'first_annotation': np.concatenate([[0], np.cumsum(per_image)]),
            'annotation_spans': spans[order],
            'categories_of': np.frombuffer(self._places, np.int32)[order],
            'reasons': np.frombuffer(bytes(self._reasons), np.uint8)[order],
        }


def _is_packed(annotation: Mapping[str, Any], size_hw: tuple[int, int]) -> bool:
    """Whether the mask is compressed run lengths of an image of this size."""
    mask = annotation.get('segmentation')
    return (
        isinstance(mask, dict) and isinstance(mask.get('counts'), str) and mask.get('size') == list(size_hw)
    )
