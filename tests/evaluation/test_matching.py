"""Objects paired with predictions, and what a page tells of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.corpus.tools.tiny import HW, square
from ultrasam.evaluation.matching import pair_up
from ultrasam.evaluation.prediction_sheets import compare
from ultrasam.evaluation.predictions import Prediction


def at(left: int, side: int = 8) -> dict[str, Any]:
    return square(side, left=left)['segmentation']


def predicted(segmentation: Any, score: float | None = 0.5, category: str = 'cyst') -> Prediction:
    return Prediction(category, score, segmentation)


def test_pairs_are_those_of_the_largest_sum() -> None:
    # greedy by the best pair would leave the second object alone
    pairs = pair_up([at(4), at(0)], [at(2), at(7)])
    assert pairs.prediction_of == (1, 0)
    assert pairs.dice == pytest.approx((5 / 8, 6 / 8))
    assert pairs.iou == pytest.approx((5 / 11, 6 / 10))
    assert pairs.object_of(2) == [1, 0]


def test_no_overlap_is_no_pair() -> None:
    pairs = pair_up([at(0)], [at(20), None])
    assert pairs.prediction_of == (-1,)
    assert pairs.dice == (0.0,)
    assert pairs.object_of(2) == [-1, -1]
    assert pair_up([], [at(0)]).prediction_of == ()
    assert pair_up([at(0)], []).prediction_of == (-1,)


def test_dice_equals_that_of_the_pixels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 12, 2)
        shared = max(0, 8 - abs(int(a) - int(b)))
        assert pair_up([at(int(a))], [at(int(b))]).dice == pytest.approx((shared / 8,))


RECORD = {'id': 1, 'file_name': 'a.png', 'height': HW[0], 'width': HW[1]}


def test_image_with_all_kinds_of_trouble() -> None:
    found = compare(
        RECORD,
        [('cyst', at(0)), ('cyst', at(22)), ('node', {'size': list(HW), 'counts': '1'})],
        [predicted(at(2), None, 'node'), predicted(at(12, side=3)), predicted('no mask')],
    )
    first, second, third = found.rows
    assert (first.result, first.area, first.score) == ('found', 64, None)
    assert first.dice == pytest.approx(0.75)
    assert (second.result, second.dice, second.category) == ('missed', 0.0, 'cyst')
    assert (third.result, third.dice, third.area, third.score) == ('unmatched', None, 9, 0.5)
    assert found.worst == 0
    assert len(found.faults) == 2 and all(fault.startswith('a.png: ') for fault in found.faults)


@pytest.mark.parametrize(
    ('predictions', 'worst'), [([], None), ([predicted(at(0))], 0.0)], ids=['nothing', 'a false alarm']
)
def test_images_without_objects(predictions: list[Prediction], worst: float | None) -> None:
    found = compare(RECORD, [], predictions)
    assert found.worst == worst
    assert [row.result for row in found.rows] == ['unmatched'] * len(predictions)
