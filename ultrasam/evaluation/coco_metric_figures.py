"""COCO's average precision and recall of boxes and masks, counted by one of two libraries with the same figures."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ultrasam.errors import ConfigError

EVALUATORS = ('auto', 'faster-coco-eval', 'pycocotools')
# of the area ranges that COCO names, in the order of both libraries
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)
_AP_LIMIT = 100


@dataclass(frozen=True)
class CocoSet:
    """Truth and predictions, checked; images are numbered from 0, categories too, records from 1.

    Args:
        sizes_hw: of the images, pixels.
        categories: how many there are.
        truths: ``id``, ``image_id``, ``category_id``, ``bbox`` (xywh), ``area``, ``iscrowd``, and
            ``segmentation`` (compressed RLE) where masks are compared.
        predictions: the same with a ``score``.
    """

    sizes_hw: Sequence[tuple[int, int]]
    categories: int
    truths: Sequence[Mapping[str, Any]]
    predictions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CocoCounts:
    """What the libraries count, at T overlaps, R recalls, K categories, 4 areas, 3 numbers of detections.

    Args:
        precision: (T, R, K, 4, 3), float; -1 where there is no truth.
        recall: (T, K, 4, 3), float; -1 where there is no truth.
        overlaps: (T,), float.
        detections: the numbers of detections of an image that count, ascending.
    """

    precision: np.ndarray
    recall: np.ndarray
    overlaps: np.ndarray
    detections: tuple[int, ...]

    def figures(self) -> dict[str, float]:
        """The twelve figures of COCO, named as mmdet does; -1 for one without truth."""
        few, some, most = self.detections
        limit = self.detections.index(_AP_LIMIT) if _AP_LIMIT in self.detections else -1
        return {
            'mAP': _mean(self.precision[:, :, :, _ALL, limit]),
            'mAP_50': self._precision_at(0.5),
            'mAP_75': self._precision_at(0.75),
            'mAP_s': _mean(self.precision[:, :, :, _SMALL, -1]),
            'mAP_m': _mean(self.precision[:, :, :, _MEDIUM, -1]),
            'mAP_l': _mean(self.precision[:, :, :, _LARGE, -1]),
            f'AR@{few}': _mean(self.recall[:, :, _ALL, 0]),
            f'AR@{some}': _mean(self.recall[:, :, _ALL, 1]),
            f'AR@{most}': _mean(self.recall[:, :, _ALL, 2]),
            f'AR_s@{most}': _mean(self.recall[:, :, _SMALL, -1]),
            f'AR_m@{most}': _mean(self.recall[:, :, _MEDIUM, -1]),
            f'AR_l@{most}': _mean(self.recall[:, :, _LARGE, -1]),
        }

    def figures_of(self, category: int) -> dict[str, float]:
        """Average precision of one category, at the largest number of detections; NaN without truth."""
        precision = self.precision[:, :, category, :, -1]
        at = {
            name: precision[np.isclose(self.overlaps, overlap), :, _ALL]
            for name, overlap in (('mAP_50', 0.5), ('mAP_75', 0.75))
        }
        parts = {
            'mAP': precision[:, :, _ALL],
            **at,
            'mAP_s': precision[:, :, _SMALL],
            'mAP_m': precision[:, :, _MEDIUM],
            'mAP_l': precision[:, :, _LARGE],
        }
        return {name: _mean(values, empty=float('nan')) for name, values in parts.items()}

    def _precision_at(self, overlap: float) -> float:
        return _mean(self.precision[np.isclose(self.overlaps, overlap), :, :, _ALL, -1])


def choose_evaluator(name: str) -> str:
    """The library to count with: the faster one where it is installed, unless one is named.

    Raises:
        ConfigError: no such name, or the library is not installed.
    """
    if name not in EVALUATORS:
        raise ConfigError(f'evaluator {name!r}: give one of {", ".join(EVALUATORS)}')
    has_faster = importlib.util.find_spec('faster_coco_eval') is not None
    if name == 'auto':
        return 'faster-coco-eval' if has_faster else 'pycocotools'
    if name == 'faster-coco-eval' and not has_faster:
        raise ConfigError("evaluator 'faster-coco-eval': run pip install 'ultrasam[evaluation]'")
    return name


def count_matches(
    data: CocoSet,
    kind: str,
    *,
    evaluator: str,
    detections: Sequence[int],
    overlaps: np.ndarray,
    by_category: bool = True,
) -> CocoCounts:
    """Match predictions with the truth.

    Args:
        data: both.
        kind: ``'bbox'`` or ``'segm'``.
        evaluator: as :func:`choose_evaluator` gives it.
        detections: three numbers: the best so many of an image count.
        overlaps: (T,), float, thresholds of intersection over union.
        by_category: compare within categories.
    """
    new_coco, new_evaluation = _library(evaluator)
    # pycocotools reports to the screen what the log says anyway
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = (_filled(new_coco(), data, records) for records in (data.truths, data.predictions))
        evaluation = new_evaluation(truth, found, kind)
        evaluation.params.imgIds = list(range(len(data.sizes_hw)))
        evaluation.params.catIds = list(range(data.categories))
        evaluation.params.useCats = int(by_category)
        evaluation.params.maxDets = sorted(detections)
        evaluation.params.iouThrs = overlaps
        evaluation.evaluate()
        evaluation.accumulate()
    return CocoCounts(
        np.asarray(evaluation.eval['precision']),
        np.asarray(evaluation.eval['recall']),
        np.asarray(overlaps),
        tuple(sorted(detections)),
    )


def _library(evaluator: str) -> tuple[Any, Any]:
    """What holds records and what compares them."""
    if evaluator == 'pycocotools':
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        return COCO, COCOeval
    faster = importlib.import_module('faster_coco_eval')
    return faster.COCO, faster.COCOeval_faster


def _filled(coco: Any, data: CocoSet, records: Sequence[Mapping[str, Any]]) -> Any:
    coco.dataset = {
        'images': [
            {'id': number, 'height': size[0], 'width': size[1]} for number, size in enumerate(data.sizes_hw)
        ],
        'categories': [{'id': number, 'name': str(number)} for number in range(data.categories)],
        # both libraries write into the records
        'annotations': [dict(record) for record in records],
    }
    coco.createIndex()
    return coco


def _mean(values: np.ndarray, *, empty: float = -1.0) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else empty
