"""Confusion matrices as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_LONGEST_NAME = 24
_DARK = 0.55


def draw_counts(counts: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str) -> np.ndarray:
    """Draw counts, each coloured by its share of the row.

    Args:
        counts: (R, C), int.
        rows: names of the rows.
        columns: names of the columns.
        title: over the picture.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    figure = Figure(figsize=(3.2 + 0.9 * len(columns), 2.4 + 0.55 * len(rows)), dpi=110, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap='Blues', vmin=0, vmax=1, aspect='auto')
    axes.set_xticks(np.arange(len(columns)), [_short(name) for name in columns], rotation=35, ha='right')
    axes.set_yticks(np.arange(len(rows)), [_short(name) for name in rows])
    axes.set_title(title)
    for (row, column), count in np.ndenumerate(counts):
        colour = 'white' if shares[row, column] > _DARK else 'black'
        text = f'{count}\n{100 * shares[row, column]:.0f} %'
        axes.text(column, row, text, ha='center', va='center', color=colour, fontsize=9)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + '…'
