"""The annotated frames of a COCO file, with what is known of each beside its masks; read one at a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.coco.records import FileContent, open_records
from ultrasam.corpus.facts import KEY, DatasetFacts, facts_of
from ultrasam.corpus.layout import PARTS
from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.masks.segmentation import decode_segmentation

NOT_STATED = 'not stated'
_SUBJECT_FIELDS = {'subject': 'subject', 'subject_id': 'subject', 'source_file': 'source file'}
_CONVERTED = '__coco'


@dataclass(frozen=True)
class TrueObject:
    """An annotated object that has a mask.

    Args:
        annotation_id: in the file.
        category: its name.
        mask: (H, W), bool, not empty.
    """

    annotation_id: int | str
    category: str
    mask: np.ndarray


@dataclass(frozen=True)
class TrueFrame:
    """An image of the file.

    Args:
        image_id: in the file.
        file_name: in the file.
        size_hw: height and width in pixels.
        subject: who or what was imaged; frames of one subject are not independent.
        subject_unit: what the subject was taken from: ``'subject'``, ``'source file'`` or ``'image'``.
        dataset: where it comes from.
        organ: as far as it is known.
        spacing_mm: millimetres between rows and between columns, or None.
        objects: those that have a mask.
        left_out: annotations that are not evaluated, by reason.
    """

    image_id: int | str
    file_name: str
    size_hw: tuple[int, int]
    subject: str
    subject_unit: str
    dataset: str
    organ: str
    spacing_mm: tuple[float, float] | None
    objects: tuple[TrueObject, ...]
    left_out: Mapping[str, int]

    def masks(self) -> np.ndarray:
        """The true masks (N, H, W), bool."""
        return np.array([one.mask for one in self.objects], bool).reshape(-1, *self.size_hw)


class GroundTruth:
    """The frames of a COCO file.

    An image may state ``subject`` (or ``subject_id``), ``dataset``, ``organ`` and ``spacing_mm``, a number or the
    millimetres between rows and between columns. Without subject the source file counts as one, or else the image.

    Args:
        path: the file.
        spacing_mm: between rows and between columns, of images that do not state theirs.

    Raises:
        AnnotationError: the file is missing, damaged, or has faulty records.
    """

    def __init__(self, path: Path, *, spacing_mm: tuple[float, float] | None = None) -> None:
        if not path.is_file():
            raise AnnotationError(f'annotation file {path} does not exist: check its name and folder')
        self.path = path
        self._spacing_mm = spacing_mm
        self._records = open_records(FileContent(path))
        self._known: dict[str, DatasetFacts] = {}
        self._categories = {one['id']: str(one['name']) for one in self._records.index.categories}
        self._numbers = {self._records.image(number)['id']: number for number in range(len(self._records))}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[TrueFrame]:
        return (self.frame(image_id) for image_id in self._numbers)

    def frame(self, image_id: int | str) -> TrueFrame:
        """The frame with an id.

        Raises:
            AnnotationError: there is none, or it states a spacing that cannot be.
        """
        if image_id not in self._numbers:
            raise AnnotationError(
                f'{self.path}: no image with the id {image_id!r}: evaluate the file that is tested'
            )
        number = self._numbers[image_id]
        image = self._records.image(number)
        size_hw = image['height'], image['width']
        objects, left_out = self._objects(self._records.annotations(number, size_hw), size_hw)
        dataset = str(image.get('dataset') or _dataset_of(self.path))
        facts = self._facts(dataset)
        subject, unit = _subject(image, facts.release)
        return TrueFrame(
            image_id=image_id,
            file_name=image['file_name'],
            size_hw=size_hw,
            subject=subject,
            subject_unit=unit,
            dataset=dataset,
            organ=str(image.get('organ') or ' + '.join(facts.organs) or NOT_STATED),
            spacing_mm=_spacing_of(image, self.path) or self._spacing_mm,
            objects=tuple(objects),
            left_out=left_out,
        )

    def _facts(self, dataset: str) -> DatasetFacts:
        """Return the facts of a dataset, from the file: of a merged one, from those of each dataset."""
        if dataset not in self._known:
            stated = self._records.index.info.get(KEY)
            of_each = stated.get(dataset) if isinstance(stated, Mapping) else None
            notes = {KEY: of_each} if isinstance(of_each, Mapping) else self._records.index.info
            self._known[dataset] = facts_of(dataset, notes)
        return self._known[dataset]

    def _objects(
        self, annotations: Sequence[Mapping[str, Any]], size_hw: tuple[int, int]
    ) -> tuple[list[TrueObject], Counter[str]]:
        objects = []
        left_out: Counter[str] = Counter()
        for annotation in annotations:
            mask = decode_segmentation(annotation.get('segmentation'), *size_hw) > 0
            if annotation.get('iscrowd') or annotation.get('ignore'):
                left_out['crowd or ignored'] += 1
            elif not mask.any():
                left_out['without mask'] += 1
            else:
                objects.append(
                    TrueObject(annotation['id'], self._categories[annotation['category_id']], mask)
                )
        return objects, left_out


def checked_spacing(spacing_mm: Sequence[float] | None) -> tuple[float, float] | None:
    """A spacing that a user gave, one number or two, as that between rows and between columns.

    Raises:
        ConfigError: it cannot be one.
    """
    spacing = None if spacing_mm is None else _spacing(list(spacing_mm))
    if spacing_mm is not None and spacing is None:
        raise ConfigError(f'a spacing of {spacing_mm} mm: give one or two positive numbers')
    return spacing


def _dataset_of(path: Path) -> str:
    """The data set by the name of a converted file, ``[PART.][agnostic.]NAME__coco.json``, or else by its folder."""
    if not path.stem.endswith(_CONVERTED):
        return path.resolve().parent.name
    name = path.stem.removesuffix(_CONVERTED)
    for word in (*PARTS, 'agnostic'):
        name = name.removeprefix(f'{word}.')
    return name


def _subject(image: Mapping[str, Any], release: str) -> tuple[str, str]:
    """The subject, told apart from those of other releases, and what it was taken from."""
    for name, unit in _SUBJECT_FIELDS.items():
        if image.get(name) not in (None, ''):
            return f'{release}/{image[name]}', unit
    return f'{release}/{image["file_name"]}', 'image'


def _spacing_of(image: Mapping[str, Any], path: Path) -> tuple[float, float] | None:
    stated = image.get('spacing_mm')
    if stated is None:
        return None
    spacing = _spacing(stated)
    if spacing is None:
        raise AnnotationError(
            f'{path}: image {image["file_name"]!r} has spacing_mm {stated!r}: write the millimetres between rows '
            'and between columns, two positive numbers'
        )
    return spacing


def _spacing(value: Any) -> tuple[float, float] | None:
    """Rows and columns, or None if it is none."""
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) not in (1, 2) or not all(
        isinstance(number, (int, float)) and 0 < number < math.inf for number in numbers
    ):
        return None
    return float(numbers[0]), float(numbers[-1])
