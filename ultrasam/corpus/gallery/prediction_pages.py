"""The gallery of predictions: each image twice, with the truth and with what was predicted, the worst first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from ultrasam.corpus.coco_files import CocoContent, read_coco
from ultrasam.corpus.gallery.folder import GalleryFolder, address_of, folder_name, open_gallery
from ultrasam.corpus.gallery.matching import pair_up
from ultrasam.corpus.gallery.outlines import run_lengths_of
from ultrasam.corpus.gallery.pictures import Picture, PictureWriter
from ultrasam.corpus.gallery.predictions import Prediction, Predictions, read_predictions
from ultrasam.corpus.layout import Track, untracked
from ultrasam.corpus.processes import workers_of
from ultrasam.corpus.subjects import subject_of
from ultrasam.errors import AnnotationError, InputError

# images whose facts share a script
_IMAGES_A_PART = 2000
_DIGITS = 4


@dataclass(frozen=True)
class PredictionGalleryReport:
    """What a gallery shows.

    Args:
        path: of its first page.
        images: that were predicted on.
        objects: of the truth.
        mean_dice: over objects whose mask can be decoded; None if there is none.
        missed: objects without a prediction.
        unmatched: predictions without an object.
        unpredicted: images without any prediction.
        strays: predictions that are of no image of the truth.
        low: predictions that were left out because of their score.
        faults: images without a thumbnail and masks that cannot be drawn, by kind.
        examples: an image of each kind.
        removed: files of earlier runs that were removed.
    """

    path: Path
    images: int
    objects: int
    mean_dice: float | None
    missed: int
    unmatched: int
    unpredicted: int
    strays: int
    low: int
    faults: Counter[str]
    examples: dict[str, str]
    removed: int


def write_prediction_gallery(
    predictions: Path,
    annotations: Path,
    images: Path,
    out: Path,
    *,
    min_score: float = 0.0,
    with_views: bool = False,
    jobs: int = 1,
    track: Track = untracked,
) -> PredictionGalleryReport:
    """Write a gallery of predictions beside the truth, or bring one up to date.

    Args:
        predictions: COCO results file, or a COCO file with scores.
        annotations: COCO file of the truth.
        images: folder that its file names are relative to.
        out: folder of the gallery, which is empty, not there yet, or a gallery of predictions.
        min_score: leave out predictions of a lower score.
        with_views: copy the images at up to 1024 pixels into the gallery, too.
        jobs: number of processes.
        track: shows progress.

    Returns:
        What it shows.

    Raises:
        AnnotationError: a file that cannot be used, or predictions of other images.
        ConfigError: no process.
        InputError: there is no such folder of images.
        OutputError: the folder holds something else, or cannot be written.
    """
    truth = read_coco(annotations)
    found = read_predictions(predictions, truth, min_score=min_score)
    if not images.is_dir():
        raise InputError(
            f'{images}: no such folder: give the one that the file names of {annotations} start from'
        )
    records, pictures = _records(truth, found)
    with workers_of(jobs) as workers, open_gallery(out, 'predictions') as gallery:
        writer = PictureWriter(gallery, workers, with_views=with_views, track=track)
        for record, facts in zip(records, writer.write(annotations.stem, images, pictures), strict=True):
            record.update(facts)
        totals = _totals(records)
        about = {
            'annotations': annotations.name,
            'predictions': predictions.name,
            'licence': _licence(truth),
            'folder': folder_name(annotations.stem),
            'address': address_of(images, out),
            'has_views': with_views,
            'min_score': min_score,
            'totals': {**totals, 'strays': found.strays, 'low': found.low},
        }
        _write_scripts(gallery, about, records)
        gallery.write_pages()
        removed = gallery.remove_rest()
    return PredictionGalleryReport(
        path=out / 'index.html',
        images=len(records),
        objects=totals['objects'],
        mean_dice=totals['dice'],
        missed=totals['missed'],
        unmatched=totals['unmatched'],
        unpredicted=sum(not record['predictions'] for record in records),
        strays=found.strays,
        low=found.low,
        faults=writer.faults,
        examples=writer.examples,
        removed=removed,
    )


def _records(truth: CocoContent, found: Predictions) -> tuple[list[dict[str, Any]], list[Picture]]:
    names = {category['id']: category['name'] for category in truth.categories}
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in truth.annotations:
        objects[annotation['image_id']].append(annotation)
    records, pictures = [], []
    for image in truth.images:
        size_hw = (image['height'], image['width'])
        truths = [(names[one['category_id']], one.get('segmentation')) for one in objects[image['id']]]
        predicted = found.of_image.get(image['id'], [])
        records.append(
            {
                'file': image['file_name'],
                'size': [image['width'], image['height']],
                'subject': subject_of(image),
                **compare(truths, predicted, size_hw),
            }
        )
        segmentations = (*(one for _, one in truths), *(one.segmentation for one in predicted))
        pictures.append(Picture(image['file_name'], size_hw, segmentations))
    return records, pictures


def compare(
    truths: Sequence[tuple[str, Any]], predicted: Sequence[Prediction], size_hw: tuple[int, int]
) -> dict[str, Any]:
    """What the page tells of an image.

    Args:
        truths: category and segmentation of each object.
        predicted: of the image.
        size_hw: of the image, in pixels.

    Returns:
        ``truths`` and ``predictions`` with their matches, ``worst`` and ``mean`` Dice, numbers of ``missed`` objects
        and ``unmatched`` predictions. Objects whose mask cannot be decoded have no Dice and are not missed; an image
        without objects has the worst Dice 0 if there is a prediction, and none otherwise.
    """
    codes = [_code(segmentation, size_hw) for _, segmentation in truths]
    others = [_code(one.segmentation, size_hw) for one in predicted]
    pairs = pair_up(codes, others)
    dices = [
        None if code is None else round(dice, _DIGITS) for code, dice in zip(codes, pairs.dice, strict=True)
    ]
    known = [dice for dice in dices if dice is not None]
    places = pairs.object_of(len(predicted))
    worst = min(known, default=0.0 if predicted and not truths else None)
    undrawn = sum(code is None for code in (*codes, *others))
    return {
        'truths': [
            {
                'category': category,
                'area': _area(codes[i]),
                'match': pairs.prediction_of[i],
                'dice': dices[i],
                'iou': None if codes[i] is None else round(pairs.iou[i], _DIGITS),
            }
            for i, (category, _) in enumerate(truths)
        ],
        'predictions': [
            {
                'category': one.category,
                'area': _area(others[j]),
                'match': places[j],
                'score': None if one.score is None else round(one.score, _DIGITS),
            }
            for j, one in enumerate(predicted)
        ],
        'worst': worst,
        'mean': round(sum(known) / len(known), _DIGITS) if known else None,
        'missed': sum(
            match < 0 and code is not None for match, code in zip(pairs.prediction_of, codes, strict=True)
        ),
        'unmatched': places.count(-1),
        **({'masks': f'{undrawn} cannot be decoded'} if undrawn else {}),
    }


def _code(segmentation: Any, size_hw: tuple[int, int]) -> dict[str, Any] | None:
    try:
        return run_lengths_of(segmentation, size_hw)
    except AnnotationError:
        return None


def _area(code: dict[str, Any] | None) -> int:
    return 0 if code is None else int(coco_mask.area(code))


def _totals(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    dices = [one['dice'] for record in records for one in record['truths'] if one['dice'] is not None]
    return {
        'objects': sum(len(record['truths']) for record in records),
        'dice': round(sum(dices) / len(dices), _DIGITS) if dices else None,
        'missed': sum(record['missed'] for record in records),
        'unmatched': sum(record['unmatched'] for record in records),
    }


def _licence(truth: CocoContent) -> str:
    names = [str(one['name']) for one in truth.licenses if isinstance(one, dict) and one.get('name')]
    return ', '.join(names) or 'not stated'


def _write_scripts(gallery: GalleryFolder, about: dict[str, Any], records: Sequence[dict[str, Any]]) -> None:
    folder = gallery.subfolder('data')
    parts = [records[i : i + _IMAGES_A_PART] for i in range(0, len(records), _IMAGES_A_PART)]
    names = [f'part{number}' for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        gallery.write_script(folder / f'{name}.js', 'data', part)
    gallery.write_script(folder / 'index.js', 'index', {**about, 'parts': names})
