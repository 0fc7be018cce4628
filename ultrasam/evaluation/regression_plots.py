"""A drawing of how predicted values agree with measured ones."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ultrasam.evaluation.regression import RegressionFigures


def draw_agreement(
    predicted: np.ndarray, measured: np.ndarray, figures: RegressionFigures, name: str
) -> np.ndarray:
    """Draw predicted by measured values, and their differences by their means (Bland and Altman 1986).

    Args:
        predicted: (N,), float.
        measured: (N,), float.
        figures: of both.
        name: of the value, with its unit.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    figure = Figure(figsize=(9, 4), dpi=110, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    ends = [float(min(predicted.min(), measured.min())), float(max(predicted.max(), measured.max()))]
    left.plot(ends, ends, color='0.6', linewidth=1)
    left.scatter(measured, predicted, s=12, alpha=0.6)
    left.set_xlabel(f'{name}, measured')
    left.set_ylabel(f'{name}, predicted')
    left.set_title(f'mean absolute error {figures.mae:.4g}')
    right.scatter((predicted + measured) / 2, predicted - measured, s=12, alpha=0.6)
    right.axhline(figures.bias, color='tab:red', linewidth=1)
    for limit in (figures.lower_limit, figures.upper_limit):
        if np.isfinite(limit):
            right.axhline(limit, color='tab:red', linewidth=1, linestyle='--')
    right.set_xlabel(f'{name}, mean of both')
    right.set_ylabel('predicted - measured')
    right.set_title(f'bias {figures.bias:.4g}, limits {figures.lower_limit:.4g} to {figures.upper_limit:.4g}')
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
