"""Figures of a classifier, for images of one class and for images of any number of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.stats import rankdata

from ultrasam.errors import ConfigError
from ultrasam.evaluation.calibration import reliability


@dataclass(frozen=True)
class ClassFigures:
    """Figures of each class against all others.

    Args:
        support: (C,), images of the class.
        precision: (C,), 0 where nothing was predicted.
        recall: (C,), 0 where there is no image.
        f1: (C,), 0 where both are.
        specificity: (C,), 0 where every image is of the class.
        auc: (C,), area under the ROC curve; NaN where no image, or every image, is of the class.
        average_precision: (C,), area under the curve of precision by recall; NaN where no image is of the class.
    """

    support: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    specificity: np.ndarray
    auc: np.ndarray
    average_precision: np.ndarray


@dataclass(frozen=True)
class Figures:
    """Figures of a classifier. Means over classes count each class once, whatever its number of images.

    Args:
        precision: mean over the classes.
        recall: likewise.
        f1: likewise, macro F1.
        auc: mean over the classes that have one; NaN where none has.
        average_precision: likewise, often called mAP.
        accuracy: share of the images whose classes are all right.
        balanced_accuracy: mean recall over the classes that have images; with several classes an image, mean of
            recall and specificity over the classes that have both.
        ece: expected calibration error, of the predicted class or, with several classes an image, of every class.
        per_class: by class.
    """

    precision: float
    recall: float
    f1: float
    auc: float
    average_precision: float
    accuracy: float
    balanced_accuracy: float
    ece: float
    per_class: ClassFigures

    def means(self) -> dict[str, float]:
        """The figures that are one number, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != 'per_class'}


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Scores of one class an image as probabilities: divided by their sum.

    Those of a softmax stay as they are. Those of a sigmoid a class keep their order within an image.

    Args:
        scores: (N, C), float, not negative.

    Raises:
        ConfigError: another shape, or values that are negative or not finite.

    Example:
        >>> probabilities(np.array([[0.3, 0.1]])).tolist()
        [[0.75, 0.25]]
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or not np.isfinite(scores).all() or (scores < 0).any():
        raise ConfigError(f'scores {scores.shape}: give (images, classes), finite and not negative')
    total = scores.sum(axis=1, keepdims=True)
    return np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / scores.shape[1])


def single_label_figures(scores: np.ndarray, labels: np.ndarray) -> Figures:
    """Figures where each image has one class, and the class of the highest score is predicted.

    Args:
        scores: (N, C), float, not negative.
        labels: (N,), int.

    Raises:
        ConfigError: no images, or shapes and labels that do not fit.

    Example:
        >>> figures = single_label_figures(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))
        >>> round(figures.f1, 4), round(figures.balanced_accuracy, 4), figures.auc
        (0.6667, 0.75, 1.0)
    """
    shares, labels = probabilities(scores), np.asarray(labels)
    count = shares.shape[1]
    if labels.shape != (len(shares),) or not len(labels) or labels.min() < 0 or labels.max() >= count:
        raise ConfigError(
            f'scores {shares.shape} and labels {labels.shape}: give a label from 0 to {count - 1} each'
        )
    predicted = shares.argmax(axis=1)
    every = np.arange(count)
    per_class = _per_class(shares, labels[:, None] == every, predicted[:, None] == every)
    there = per_class.support > 0
    right = predicted == labels
    return Figures(
        **_class_means(per_class),
        accuracy=float(right.mean()),
        balanced_accuracy=float(per_class.recall[there].mean()),
        ece=reliability(shares.max(axis=1), right).ece,
        per_class=per_class,
    )


def multi_label_figures(scores: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> Figures:
    """Figures where an image has any number of classes, and those of a score at or above a threshold are predicted.

    Args:
        scores: (N, C), float, from 0 to 1.
        truth: (N, C), bool.
        threshold: of the scores.

    Raises:
        ConfigError: no images, shapes that differ, or scores that are no probabilities.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, bool)
    if scores.shape != truth.shape or scores.ndim != 2 or not scores.size:
        raise ConfigError(f'scores {scores.shape} and truth {truth.shape}: give the same (images, classes)')
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ConfigError('scores of several classes an image: give probabilities, from 0 to 1')
    predicted = scores >= threshold
    per_class = _per_class(scores, truth, predicted)
    both = np.isfinite(per_class.auc)
    balanced = (per_class.recall + per_class.specificity)[both] / 2
    return Figures(
        **_class_means(per_class),
        accuracy=float((predicted == truth).all(axis=1).mean()),
        balanced_accuracy=float(balanced.mean()) if both.any() else float('nan'),
        ece=reliability(scores.ravel(), truth.ravel()).ece,
        per_class=per_class,
    )


def _class_means(figures: ClassFigures) -> dict[str, float]:
    return dict(
        precision=float(figures.precision.mean()),
        recall=float(figures.recall.mean()),
        f1=float(figures.f1.mean()),
        auc=_mean_of_known(figures.auc),
        average_precision=_mean_of_known(figures.average_precision),
    )


def _mean_of_known(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float('nan')


def _per_class(scores: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> ClassFigures:
    hits = (truth & predicted).sum(axis=0)
    support, given = truth.sum(axis=0), predicted.sum(axis=0)
    rest = len(truth) - support
    right_rest = (~truth & ~predicted).sum(axis=0)
    return ClassFigures(
        support=support,
        precision=_ratio(hits, given),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + given),
        specificity=_ratio(right_rest, rest),
        auc=np.array([roc_auc(*pair) for pair in zip(scores.T, truth.T, strict=True)]),
        average_precision=np.array(
            [average_precision(*pair) for pair in zip(scores.T, truth.T, strict=True)]
        ),
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def roc_auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Probability that an image of a class scores above one that is not; equal scores count half.

    Args:
        scores: (N,), float.
        truth: (N,), bool.

    Returns:
        NaN where all are of the class, or none is.

    Example:
        >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
        0.875
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float('nan')
    ranks = rankdata(scores)[truth].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Precision at each score that an image of the class has, averaged over those images.

    Images of equal score are predicted together, as scikit-learn does it.

    Args:
        scores: (N,), float.
        truth: (N,), bool.

    Returns:
        NaN where none is of the class.

    Example:
        >>> round(average_precision(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])), 4)
        0.8333
    """
    if not truth.any():
        return float('nan')
    # with each image of the class, all images that score as high are predicted
    wanted = scores[truth]
    predicted = len(scores) - np.searchsorted(np.sort(scores), wanted, side='left')
    right = len(wanted) - np.searchsorted(np.sort(wanted), wanted, side='left')
    return float((right / predicted).mean())


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Images of each class (row) by the class that was predicted (column), (C, C), int.

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    return np.bincount(np.asarray(labels) * count + np.asarray(predicted), minlength=count**2).reshape(
        count, count
    )


def decision_matrix(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """For each class its images found, missed, wrongly predicted and rightly not predicted, (C, 4), int.

    Args:
        truth: (N, C), bool.
        predicted: (N, C), bool.
    """
    pairs: Sequence[np.ndarray] = (
        truth & predicted,
        truth & ~predicted,
        ~truth & predicted,
        ~truth & ~predicted,
    )
    return np.stack([pair.sum(axis=0) for pair in pairs], axis=1)
