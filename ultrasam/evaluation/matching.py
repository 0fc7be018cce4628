"""Which prediction is of which object, and how well it covers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask


@dataclass(frozen=True)
class Pairs:
    """Objects and predictions of an image, paired.

    Args:
        prediction_of: place of the prediction of each object; -1 for none.
        dice: of each object with its prediction; 0 without one.
        iou: the same.
    """

    prediction_of: tuple[int, ...]
    dice: tuple[float, ...]
    iou: tuple[float, ...]

    def object_of(self, predictions: int) -> list[int]:
        """Place of the object of each of so many predictions; -1 for none."""
        places = [-1] * predictions
        for place, found in enumerate(self.prediction_of):
            if found >= 0:
                places[found] = place
        return places


def pair_up(truths: Sequence[dict[str, Any] | None], predictions: Sequence[dict[str, Any] | None]) -> Pairs:
    """Pair objects with predictions one to one, so that the sum of Dice is largest; pairs that share nothing are none.

    Args:
        truths: compressed run lengths of the objects of an image; None for one that cannot be decoded.
        predictions: the same of the predictions.

    Example:
        >>> left, right = ({'size': [1, 4], 'counts': counts} for counts in ('022', '112'))
        >>> pair_up([left], [right]).prediction_of
        (0,)
    """
    from scipy.optimize import linear_sum_assignment

    iou = np.zeros((len(truths), len(predictions)))
    rows = [place for place, one in enumerate(truths) if one is not None]
    columns = [place for place, one in enumerate(predictions) if one is not None]
    if rows and columns:
        known = [one for one in truths if one is not None], [one for one in predictions if one is not None]
        iou[np.ix_(rows, columns)] = coco_mask.iou(*known, [0] * len(columns))
    dice = 2 * iou / (1 + iou)
    found = {
        int(i): int(j)
        for i, j in zip(*linear_sum_assignment(dice, maximize=True), strict=True)
        if iou[i, j] > 0
    }
    return Pairs(
        prediction_of=tuple(found.get(i, -1) for i in range(len(truths))),
        dice=tuple(float(dice[i, found[i]]) if i in found else 0.0 for i in range(len(truths))),
        iou=tuple(float(iou[i, found[i]]) if i in found else 0.0 for i in range(len(truths))),
    )
