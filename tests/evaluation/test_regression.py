from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.visualization import Visualizer

from ultrasam.errors import ConfigError
from ultrasam.evaluation.regression import regression_figures
from ultrasam.evaluation.regression_plots import draw_agreement
from ultrasam.openmmlab.metrics.regression import AgreementMetric


def test_by_hand():
    figures = regression_figures(np.array([9.0, 21.0, 33.0]), np.array([10.0, 20.0, 30.0]))
    assert figures.mae == pytest.approx(5 / 3)
    assert figures.rmse == pytest.approx((11 / 3) ** 0.5)
    assert figures.r2 == pytest.approx(1 - 11 / 200)
    assert figures.bias == 1.0
    # differences -1, 1, 3: standard deviation 2
    assert (figures.lower_limit, figures.upper_limit) == pytest.approx((1 - 3.92, 1 + 3.92))


def test_a_constant_answer_explains_nothing():
    measured = np.random.default_rng(0).normal(50, 9, 400)
    figures = regression_figures(np.full(400, measured.mean()), measured)
    assert figures.r2 == pytest.approx(0)
    assert figures.rmse == pytest.approx(measured.std())
    assert regression_figures(np.full(400, 0.0), measured).r2 < -10


def test_limits_hold_most_differences():
    rng = np.random.default_rng(1)
    measured = rng.normal(50, 9, 4000)
    predicted = measured + rng.normal(2, 3, 4000)
    figures = regression_figures(predicted, measured)
    within = (predicted - measured > figures.lower_limit) & (predicted - measured < figures.upper_limit)
    assert within.mean() == pytest.approx(0.95, abs=0.01)


def test_what_the_data_do_not_define_is_not_a_number():
    single = regression_figures(np.array([2.0]), np.array([1.0]))
    assert (single.mae, single.bias) == (1.0, 1.0)
    assert np.isnan([single.r2, single.lower_limit, single.upper_limit]).all()
    assert np.isnan(regression_figures(np.array([2.0, 3.0]), np.array([1.0, 1.0])).r2)


@pytest.mark.parametrize(
    ('predicted', 'measured', 'message'),
    [
        ([], [], 'same number'),
        ([1.0], [1.0, 2.0], 'same number'),
        ([[1.0]], [[1.0]], 'same number'),
        ([float('nan')], [1.0], 'not finite'),
    ],
)
def test_input_that_cannot_be_scored(predicted: list, measured: list, message: str):
    with pytest.raises(ConfigError, match=message):
        regression_figures(np.array(predicted), np.array(measured))


def metric(values: tuple[str, ...], pairs: list[tuple[list[float], list[float]]], tmp_path: Path) -> dict:
    Visualizer.get_instance(
        str(tmp_path), vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path)
    )
    made = AgreementMetric()
    made.dataset_meta = {'values': values}
    for predicted, measured in pairs:
        made.process(None, [{'pred_score': torch.tensor(predicted), 'gt_score': torch.tensor(measured)}])
    return made.evaluate(len(pairs))


def test_metric_of_one_value(tmp_path: Path):
    scores = metric(('width',), [([9.0], [10.0]), ([21.0], [20.0]), ([33.0], [30.0])], tmp_path)
    assert scores['regression/mae'] == pytest.approx(5 / 3, abs=1e-6)
    assert set(scores) == {
        f'regression/{key}' for key in ('mae', 'rmse', 'r2', 'bias', 'lower_limit', 'upper_limit')
    }
    assert len(list(tmp_path.rglob('regression_agreement_*.png'))) == 1


def test_metric_of_several_values(tmp_path: Path):
    scores = metric(('width', 'height'), [([1.0, 5.0], [2.0, 5.0]), ([3.0, 7.0], [3.0, 5.0])], tmp_path)
    assert scores['regression/mae_width'] == 0.5
    assert scores['regression/mae_height'] == 1.0
    assert 'regression/r2_height' not in scores, 'all heights are the same'


def test_metric_of_another_number_of_values(tmp_path: Path):
    with pytest.raises(ConfigError, match='predicts 2 values, the data have 1'):
        metric(('width',), [([1.0, 2.0], [1.0])], tmp_path)


def test_the_drawing_shows_the_values():
    measured = np.linspace(10, 60, 30)
    pictures = []
    for bias in (0.0, 8.0):
        predicted = measured + bias + np.sin(measured)
        figures = regression_figures(predicted, measured)
        pictures.append(draw_agreement(predicted, measured, figures, 'width_px'))
    assert pictures[0].dtype == np.uint8 and pictures[0].shape == pictures[1].shape
    assert pictures[0].shape[2] == 3
    assert not np.array_equal(*pictures)
