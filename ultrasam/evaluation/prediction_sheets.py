"""Predictions beside the truth: a table of all objects, and contact sheets of images, the worst first."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.atomic import publish_folder
from ultrasam.coco.files import CocoContent, read_coco
from ultrasam.corpus.layout import Track, untracked
from ultrasam.errors import InputError
from ultrasam.evaluation.matching import pair_up
from ultrasam.evaluation.predictions import Prediction, read_predictions
from ultrasam.io.readers.image import read_image
from ultrasam.io.sheets import COLOURS, GAP, draw_outlines, write_caption, write_sheets
from ultrasam.masks.segmentation import compressed_rle, is_empty_segmentation, segmentation_fault

TABLE = 'objects.csv'
_TILE = 240
_TRUTH, _PREDICTED = COLOURS[0], COLOURS[3]


@dataclass(frozen=True, kw_only=True)
class ObjectRow:
    """One object of the truth, or one prediction without an object.

    Args:
        image: File name.
        result: ``'found'``, ``'missed'`` or ``'unmatched'`` (a prediction without an object).
        category: Name of the category, of the truth if there is one.
        dice: Dice with its prediction; 0 for a missed object; None for an unmatched prediction.
        iou: Intersection over union, likewise.
        score: Score of the prediction, if it has one.
        area: Pixels of the mask.
    """

    image: str
    result: str
    category: str
    dice: float | None
    iou: float | None
    score: float | None
    area: int


@dataclass
class ImageResult:
    """How well an image was predicted.

    Args:
        image: Record of the image.
        rows: Its objects and unmatched predictions.
        truths: Run lengths of its objects.
        predicted: Run lengths of its predictions.
        faults: Masks that cannot be decoded, a sentence each.
    """

    image: dict[str, Any]
    rows: list[ObjectRow] = field(default_factory=list)
    truths: list[dict[str, Any]] = field(default_factory=list)
    predicted: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def worst(self) -> float | None:
        """Return the least Dice of its objects; 0 for predictions where nothing is; None for neither."""
        known = [row.dice for row in self.rows if row.dice is not None]
        return min(known, default=0.0 if self.rows else None)


@dataclass(frozen=True)
class PredictionSheets:
    """What was written.

    Args:
        folder: The folder.
        images: Images that were predicted on.
        objects: Objects of the truth whose mask can be decoded.
        mean_dice: Mean over them; None if there is none.
        missed: Objects without a prediction.
        unmatched: Predictions without an object.
        unpredicted: Images without any prediction.
        strays: Predictions of no image of the truth.
        low: Predictions that were left out because of their score.
        faults: Images and masks that could not be drawn, a sentence each.
    """

    folder: Path
    images: int
    objects: int
    mean_dice: float | None
    missed: int
    unmatched: int
    unpredicted: int
    strays: int
    low: int
    faults: tuple[str, ...]


def write_prediction_sheets(
    predictions: Path,
    annotations: Path,
    images: Path,
    out: Path,
    *,
    min_score: float = 0.0,
    most: int = 192,
    overwrite: bool = False,
    track: Track = untracked,
) -> PredictionSheets:
    """Write ``objects.csv`` with every object, and pages of the worst images: the truth green, predictions orange.

    Args:
        predictions: COCO results file, or a COCO file with scores.
        annotations: COCO file of the truth.
        images: Folder that its file names are relative to.
        out: Folder to write.
        min_score: Leave out predictions of a lower score.
        most: Images on the pages; 0 for all.
        overwrite: Replace the folder.
        track: Shows progress.

    Raises:
        AnnotationError: A file that cannot be used, or predictions of other images.
        InputError: There is no such folder of images.
        OutputError: The folder is there, or cannot be written.
    """
    truth = read_coco(annotations)
    found = read_predictions(predictions, truth, min_score=min_score)
    if not images.is_dir():
        raise InputError(
            f'{images}: no such folder: give the one that the file names of {annotations} start from'
        )
    results = list(_compare_all(truth, found.of_image))
    faults = [fault for result in results for fault in result.faults]
    ranked = sorted(
        (r for r in results if r.worst is not None), key=lambda r: (r.worst, r.image['file_name'])
    )
    with publish_folder(out, overwrite=overwrite) as folder:
        _write_table(folder / TABLE, results)
        shown = ranked[: most or len(ranked)]
        write_sheets(folder, 'worst', _tiles(track(shown, 'sheets'), images, faults))
    rows = [row for result in results for row in result.rows]
    dices = [row.dice for row in rows if row.dice is not None]
    return PredictionSheets(
        folder=out,
        images=len(results),
        objects=len(dices),
        mean_dice=sum(dices) / len(dices) if dices else None,
        missed=sum(row.result == 'missed' for row in rows),
        unmatched=sum(row.result == 'unmatched' for row in rows),
        unpredicted=sum(result.image['id'] not in found.of_image for result in results),
        strays=found.strays,
        low=found.low,
        faults=tuple(faults),
    )


def _compare_all(truth: CocoContent, found: dict[int, list[Prediction]]) -> Iterator[ImageResult]:
    names = {category['id']: category['name'] for category in truth.categories}
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in truth.annotations:
        objects[annotation['image_id']].append(annotation)
    for image in truth.images:
        truths = [(names[one['category_id']], one.get('segmentation')) for one in objects[image['id']]]
        yield compare(image, truths, found.get(image['id'], []))


def compare(
    image: dict[str, Any], truths: Sequence[tuple[str, Any]], predicted: Sequence[Prediction]
) -> ImageResult:
    """Pair the objects of an image with its predictions.

    Args:
        image: Its record in the truth.
        truths: Category and segmentation of each object.
        predicted: Its predictions.

    Returns:
        The result; objects and predictions whose mask cannot be decoded are faults and have no row.
    """
    result = ImageResult(image)
    name = image['file_name']
    kinds = []
    for kind, segmentation in truths:
        if code := _code(segmentation, image, result):
            result.truths.append(code)
            kinds.append(kind)
    usable = []
    for one in predicted:
        if code := _code(one.segmentation, image, result):
            result.predicted.append(code)
            usable.append(one)
    pairs = pair_up(result.truths, result.predicted)
    for i, kind in enumerate(kinds):
        match = pairs.prediction_of[i]
        row = ObjectRow(
            image=name,
            result='missed' if match < 0 else 'found',
            category=kind,
            dice=pairs.dice[i],
            iou=pairs.iou[i],
            score=None if match < 0 else usable[match].score,
            area=int(coco_mask.area(result.truths[i])),
        )
        result.rows.append(row)
    for j, place in enumerate(pairs.object_of(len(usable))):
        if place < 0:
            area = int(coco_mask.area(result.predicted[j]))
            row = ObjectRow(
                image=name,
                result='unmatched',
                category=usable[j].category,
                dice=None,
                iou=None,
                score=usable[j].score,
                area=area,
            )
            result.rows.append(row)
    return result


def _code(segmentation: Any, image: dict[str, Any], result: ImageResult) -> dict[str, Any] | None:
    """Return the run lengths of a segmentation, or None after a note of why there are none."""
    height, width = image['height'], image['width']
    fault = segmentation_fault(segmentation, height, width)
    if fault is None and is_empty_segmentation(segmentation):
        fault = 'an object without a mask'
    if fault:
        result.faults.append(f'{image["file_name"]}: {fault}')
        return None
    return compressed_rle(segmentation, height, width)


def _write_table(path: Path, results: Iterable[ImageResult]) -> None:
    with path.open('w', encoding='utf-8', newline='') as file:
        table = csv.writer(file)
        table.writerow([one.name for one in fields(ObjectRow)])
        for result in results:
            for row in result.rows:
                values = (round(v, 4) if isinstance(v, float) else v for v in astuple(row))
                table.writerow(['' if value is None else value for value in values])


def _tiles(results: Iterable[ImageResult], images: Path, faults: list[str]) -> Iterator[np.ndarray]:
    for result in results:
        size_hw = (result.image['height'], result.image['width'])
        try:
            picture = read_image(images / result.image['file_name'])
        except InputError as error:
            faults.append(str(error))
            picture = np.zeros((*size_hw, 3), np.uint8)
        if picture.shape[:2] != size_hw:
            faults.append(f'{result.image["file_name"]}: the image has another size than its record')
        masks = [coco_mask.decode(code) for code in (*result.truths, *result.predicted)]
        colours = [_TRUTH] * len(result.truths) + [_PREDICTED] * len(result.predicted)
        tile = draw_outlines(picture, masks, colours, _TILE - GAP)
        yield write_caption(tile, f'{result.worst:.2f} {result.image["file_name"]}')
