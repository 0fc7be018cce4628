"""Whether the overlap that a model predicts for its own masks can be trusted, and used to sort them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrasam.errors import ConfigError

BINS = 10
_CURVE_POINTS = 101


@dataclass(frozen=True)
class Reliability:
    """Predicted against true IoU, in bins of equal width.

    Args:
        edges: (B + 1,) from 0 to 1.
        counts: (B,), masks in each bin.
        predicted: (B,), mean predicted IoU; NaN in an empty bin.
        true: (B,), mean true IoU; NaN in an empty bin.
        ece: expected calibration error (Guo et al. 2017, equation 3), with IoU in the place of accuracy.
        bias: mean of predicted minus true.
    """

    edges: np.ndarray
    counts: np.ndarray
    predicted: np.ndarray
    true: np.ndarray
    ece: float
    bias: float


def reliability(predicted: np.ndarray, true: np.ndarray, bins: int = BINS) -> Reliability:
    """Compare predicted with true IoU.

    Args:
        predicted: (N,), float; what lies outside 0 to 1 is clipped.
        true: (N,), float.
        bins: how many.

    Raises:
        ConfigError: no values, or counts that differ.

    Example:
        >>> round(reliability(np.array([0.9, 0.9, 0.3]), np.array([0.8, 1.0, 0.0])).ece, 6)
        0.1
    """
    predicted, true = _pair(predicted, true)
    predicted = predicted.clip(0, 1)
    edges = np.linspace(0, 1, bins + 1)
    place = np.digitize(predicted, edges[1:-1])
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid='ignore'):
        means = [np.bincount(place, values, bins) / counts for values in (predicted, true)]
    gaps = np.abs(means[0] - means[1])[counts > 0]
    ece = float((gaps * counts[counts > 0]).sum() / len(true))
    return Reliability(edges, counts, means[0], means[1], ece, float(np.mean(predicted - true)))


@dataclass(frozen=True)
class RiskCoverage:
    """What is left wrong when the masks with the lowest predicted IoU are put aside (Geifman et al. 2019).

    Args:
        coverage: (P,), share of the masks that are kept, ascending.
        risk: (P,), mean of 1 - IoU over those kept.
        aurc: area under the curve, the mean over all coverages.
        ideal: that of sorting by the true IoU.
        random: that of sorting at random, the mean of 1 - IoU.
    """

    coverage: np.ndarray
    risk: np.ndarray
    aurc: float
    ideal: float
    random: float


def risk_coverage(predicted: np.ndarray, true: np.ndarray) -> RiskCoverage:
    """Sort masks by predicted IoU; equal predictions share their mean risk.

    Raises:
        ConfigError: no values, or counts that differ.

    Example:
        >>> risk_coverage(np.array([0.9, 0.1]), np.array([1.0, 0.0])).risk.tolist()
        [0.0, 0.5]
    """
    predicted, true = _pair(predicted, true)
    kept = _running_risk(predicted, true)
    coverage = np.arange(1, len(true) + 1) / len(true)
    points = np.unique(np.linspace(0, len(true) - 1, min(len(true), _CURVE_POINTS)).round().astype(int))
    return RiskCoverage(
        coverage[points],
        kept[points],
        float(kept.mean()),
        float(_running_risk(true, true).mean()),
        float((1 - true).mean()),
    )


def _running_risk(sort_by: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean risk of the best n, for n from 1 to all."""
    _, group = np.unique(-sort_by, return_inverse=True)
    mean_of_group = np.bincount(group, 1 - true) / np.bincount(group)
    risks = mean_of_group[np.sort(group)]
    return np.cumsum(risks) / np.arange(1, len(true) + 1)


def _pair(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise ConfigError(f'predictions {predicted.shape} and truths {true.shape}: give one or more of each')
    return predicted, true
