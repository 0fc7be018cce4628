from __future__ import annotations

import numpy as np
import pytest

from ultrasam.errors import ConfigError
from ultrasam.evaluation.classification import (
    average_precision,
    confusion_matrix,
    decision_matrix,
    multi_label_figures,
    probabilities,
    roc_auc,
    single_label_figures,
)
from ultrasam.evaluation.classification_plots import draw_counts


def brute_auc(scores: np.ndarray, truth: np.ndarray) -> float:
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    return float(np.mean(pairs))


def test_by_hand():
    # labels 0 0 0 1 1 2, predicted 0 0 1 1 2 2
    scores = np.eye(3)[[0, 0, 1, 1, 2, 2]] * 0.5 + 0.2
    figures = single_label_figures(scores, np.array([0, 0, 0, 1, 1, 2]))
    assert figures.per_class.support.tolist() == [3, 2, 1]
    assert figures.per_class.precision.tolist() == [1.0, 0.5, 0.5]
    assert figures.per_class.recall.tolist() == pytest.approx([2 / 3, 0.5, 1.0])
    assert figures.per_class.f1.tolist() == pytest.approx([0.8, 0.5, 2 / 3])
    assert figures.f1 == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert figures.balanced_accuracy == pytest.approx((2 / 3 + 0.5 + 1) / 3)
    assert figures.accuracy == pytest.approx(4 / 6)
    # 0.7 / 1.1 sure, and right in four of six
    assert figures.ece == pytest.approx(abs(0.7 / 1.1 - 4 / 6))


def test_auc_is_that_of_all_pairs():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 6, 30) / 5
        truth = rng.random(30) < 0.4
        assert roc_auc(scores, truth) == pytest.approx(brute_auc(scores, truth))
    assert np.isnan(roc_auc(scores, np.zeros(30, bool)))
    assert np.isnan(roc_auc(scores, np.ones(30, bool)))


def brute_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Precision times the step of recall, from the highest threshold down."""
    area = recall = 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        predicted = scores >= threshold
        reached = (truth & predicted).sum() / truth.sum()
        area += (reached - recall) * (truth & predicted).sum() / predicted.sum()
        recall = reached
    return area


def test_average_precision_is_the_area_below_the_curve():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 6, 30) / 5
        truth = rng.random(30) < 0.4
        assert average_precision(scores, truth) == pytest.approx(brute_average_precision(scores, truth))
    assert average_precision(scores, np.ones(30, bool)) == 1.0
    assert np.isnan(average_precision(scores, np.zeros(30, bool)))


def test_always_the_majority_scores_what_it_deserves():
    # 731 of 1,000, as in a public set of nodules
    labels = np.array([0] * 269 + [1] * 731)
    figures = single_label_figures(np.tile([0.4, 0.6], (1000, 1)), labels)
    assert figures.f1 == pytest.approx(0.422, abs=1e-3)
    assert (figures.auc, figures.balanced_accuracy) == (0.5, 0.5)
    assert figures.ece == pytest.approx(0.131)


def test_a_declared_class_without_images_counts_in_f1_and_not_in_balanced_accuracy():
    figures = single_label_figures(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]), np.array([0, 1]))
    assert figures.f1 == pytest.approx(2 / 3)
    assert figures.balanced_accuracy == 1.0
    assert figures.auc == 1.0
    assert np.isnan(figures.per_class.auc[2])


def test_order_of_images_and_scale_of_scores_do_not_matter():
    rng = np.random.default_rng(1)
    scores, labels = rng.random((40, 4)), rng.integers(0, 4, 40)
    order = rng.permutation(40)
    one, other = single_label_figures(scores, labels), single_label_figures(3 * scores[order], labels[order])
    assert one.means() == pytest.approx(other.means())


def test_several_classes_an_image():
    scores = np.array([[0.9, 0.2], [0.8, 0.6], [0.1, 0.7], [0.3, 0.4]])
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)
    figures = multi_label_figures(scores, truth)
    assert figures.per_class.f1.tolist() == [1.0, 0.5]
    assert figures.accuracy == 0.5
    assert figures.balanced_accuracy == 0.75
    assert figures.per_class.auc.tolist() == [1.0, brute_auc(scores[:, 1], truth[:, 1])]
    assert figures.per_class.average_precision.tolist() == pytest.approx([1.0, (1 / 2 + 2 / 3) / 2])
    assert figures.average_precision == pytest.approx((1 + 7 / 12) / 2)
    assert decision_matrix(truth, scores >= 0.5).tolist() == [[2, 0, 0, 2], [1, 1, 1, 1]]


def test_scores_become_probabilities():
    assert probabilities(np.array([[0.2, 0.2], [0.0, 0.0]])).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    for wrong in (np.array([0.1]), np.array([[-0.1, 1.0]]), np.array([[np.nan, 1.0]])):
        with pytest.raises(ConfigError):
            probabilities(wrong)


def test_confusion_matrix_has_rows_of_the_truth():
    assert confusion_matrix(np.array([0, 0, 2]), np.array([1, 0, 2]), 3).tolist() == [
        [1, 1, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]


def test_input_that_cannot_be_scored():
    with pytest.raises(ConfigError, match='label from 0 to 1'):
        single_label_figures(np.ones((2, 2)), np.array([0, 2]))
    with pytest.raises(ConfigError, match='label from 0 to 1'):
        single_label_figures(np.ones((0, 2)), np.zeros(0, int))
    with pytest.raises(ConfigError, match='the same'):
        multi_label_figures(np.ones((2, 2)), np.ones((2, 3), bool))
    with pytest.raises(ConfigError, match='probabilities'):
        multi_label_figures(np.full((2, 2), 1.5), np.ones((2, 2), bool))


def test_the_drawing_shows_where_the_counts_are():
    names = ['benign', 'a class whose name is far too long for a figure']
    picture = draw_counts(np.array([[90, 10], [20, 80]]), names, names, 'test')
    swapped = draw_counts(np.array([[10, 90], [80, 20]]), names, names, 'test')
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert picture.shape == swapped.shape
    assert not np.array_equal(picture, swapped)
    assert np.array_equal(picture, draw_counts(np.array([[90, 10], [20, 80]]), names, names, 'test'))
