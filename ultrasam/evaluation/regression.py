"""Figures of predicted against measured values: errors, what is explained, and limits of agreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ultrasam.errors import ConfigError

# of the normal distribution: 95 % lie within
LIMITS_SD = 1.96


@dataclass(frozen=True)
class RegressionFigures:
    """How far predicted values are from measured ones.

    Args:
        mae: mean absolute error, in the unit of the values.
        rmse: root of the mean squared error, likewise.
        r2: share of the variance that is explained; below 0 where the mean would be better, NaN where all measured
            values are the same.
        bias: mean of predicted minus measured.
        lower_limit: limit of agreement (Bland and Altman 1986), bias - 1.96 standard deviations of the differences;
            NaN of a single image.
        upper_limit: likewise, bias + 1.96 standard deviations.
    """

    mae: float
    rmse: float
    r2: float
    bias: float
    lower_limit: float
    upper_limit: float

    def numbers(self) -> Mapping[str, float]:
        """The figures by name."""
        return asdict(self)


def regression_figures(predicted: np.ndarray, measured: np.ndarray) -> RegressionFigures:
    """Compare values of the same images.

    Args:
        predicted: (N,), float.
        measured: (N,), float.

    Raises:
        ConfigError: no images, shapes that differ, or values that are not finite.

    Example:
        >>> figures = regression_figures(np.array([9.0, 21.0, 33.0]), np.array([10.0, 20.0, 30.0]))
        >>> round(figures.mae, 4), round(figures.r2, 4), figures.bias, round(figures.upper_limit, 4)
        (1.6667, 0.945, 1.0, 4.92)
    """
    predicted, measured = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    if predicted.shape != measured.shape or predicted.ndim != 1 or not predicted.size:
        raise ConfigError(f'values {predicted.shape} and {measured.shape}: give the same number of both')
    if not (np.isfinite(predicted).all() and np.isfinite(measured).all()):
        raise ConfigError('values that are not finite cannot be compared')
    differences = predicted - measured
    spread = np.square(measured - measured.mean()).sum()
    bias = float(differences.mean())
    half = LIMITS_SD * float(differences.std(ddof=1)) if len(differences) > 1 else float('nan')
    return RegressionFigures(
        mae=float(np.abs(differences).mean()),
        rmse=float(np.sqrt(np.square(differences).mean())),
        r2=float(1 - np.square(differences).sum() / spread) if spread else float('nan'),
        bias=bias,
        lower_limit=bias - half,
        upper_limit=bias + half,
    )
