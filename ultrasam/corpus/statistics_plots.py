"""Plots of the counts of a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.corpus.statistics import AREA_EDGES, ASPECT_EDGES, SIDE_EDGES, DatasetStatistics
from ultrasam.optional import optional_module

PLOTS = {
    'datasets': 'Images and masks of each data set',
    'areas_by_dataset': 'Mask areas of each data set',
    'areas': 'Mask areas',
    'aspects': 'Shapes of masks',
    'sides': 'Sizes of images',
    'masks_per_image': 'Masks in an image',
}
_BLUE, _ORANGE = '#0072b2', '#e69f00'
_DPI = 110
_ROW = 0.24
_LONGEST_NAME = 32


def draw(name: str, counted: Sequence[DatasetStatistics], total: DatasetStatistics, target: Path) -> None:
    """Draw one of :data:`PLOTS` into a PNG file.

    Args:
        name: of the plot.
        counted: of each data set.
        total: of all together.
        target: file to write.

    Raises:
        UltraSamError: matplotlib is missing.
    """
    figures = optional_module('matplotlib.figure', need='drawing plots', extra='corpus')
    is_by_dataset = name in ('datasets', 'areas_by_dataset')
    height = 1.6 + _ROW * len(counted) if is_by_dataset else 4.2
    figure = figures.Figure(figsize=(9, height), dpi=_DPI, layout='constrained')
    axes = figure.add_subplot()
    if name == 'datasets':
        _draw_datasets(axes, counted)
    elif name == 'areas_by_dataset':
        _draw_areas_by_dataset(figure, axes, counted)
    elif name == 'areas':
        _draw_histogram(axes, total.areas, AREA_EDGES, '', 'masks')
        _scale_shares(axes)
    elif name == 'aspects':
        _draw_histogram(axes, total.aspects, ASPECT_EDGES, 'width / height of the box', 'masks')
        _scale_aspects(axes)
    elif name == 'sides':
        _draw_sides(axes, total.sides())
    else:
        _draw_masks_per_image(axes, total)
    axes.set_title(PLOTS[name], loc='left')
    if not is_by_dataset:
        axes.yaxis.set_major_formatter(lambda value, place: f'{value:,.0f}')
    figure.savefig(target, metadata={'Software': None})


def _draw_datasets(axes: Any, counted: Sequence[DatasetStatistics]) -> None:
    rows = np.arange(len(counted))
    for offset, values, colour, label in (
        (-0.2, [one.images.total() for one in counted], _BLUE, 'images'),
        (0.2, [one.masks.total() for one in counted], _ORANGE, 'masks'),
    ):
        bars = axes.barh(rows + offset, values, height=0.4, color=colour, label=label)
        axes.bar_label(bars, [f'{value:,}' for value in values], padding=2, fontsize=6)
    axes.set_xscale('log')
    # room for the number at the end of the longest bar
    axes.set_xlim(0.8, 3 * max([one.masks.total() + one.images.total() for one in counted], default=1) + 1)
    axes.set_xlabel('number (logarithmic)')
    axes.legend(loc='lower right', bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    _name_rows(axes, counted)


def _draw_areas_by_dataset(figure: Any, axes: Any, counted: Sequence[DatasetStatistics]) -> None:
    table = np.array([one.areas for one in counted], float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    rows = np.arange(len(counted) + 1) - 0.5
    # what is empty stays white, so that a few masks can be told from none
    shown = np.ma.masked_equal(shares, 0)
    mesh = axes.pcolormesh(AREA_EDGES, rows, shown, cmap='viridis_r', vmin=0)
    for row in rows[1:-1]:
        axes.axhline(row, color='0.85', linewidth=0.6)
    _scale_shares(axes)
    figure.colorbar(mesh, ax=axes, label="share of the data set's masks", format=_percent)
    _name_rows(axes, counted)


def _name_rows(axes: Any, counted: Sequence[DatasetStatistics]) -> None:
    names = [
        one.dataset if len(one.dataset) <= _LONGEST_NAME else one.dataset[: _LONGEST_NAME - 1] + '…'
        for one in counted
    ]
    axes.set_yticks(np.arange(len(counted)), names, fontsize=8)
    axes.set_ylim(len(counted) - 0.5, -0.5)


def _draw_histogram(axes: Any, counts: Sequence[int], edges: Sequence[float], what: str, unit: str) -> None:
    axes.stairs(counts, edges, fill=True, color=_BLUE)
    axes.set_xlabel(what)
    axes.set_ylabel(unit)
    axes.grid(axis='y', alpha=0.3)


def _draw_sides(axes: Any, counts: Sequence[int]) -> None:
    """One bar a bin, of the same width, since the bins are not: the number says what a bin holds."""
    places = np.arange(len(counts))
    bars = axes.bar(places, counts, width=0.9, color=_BLUE)
    axes.bar_label(bars, [f'{count:,}' if count else '' for count in counts], fontsize=7)
    names = [f'{low}-{high - 1}' for low, high in pairwise(SIDE_EDGES)]
    axes.set_xticks(places, [*names[:-1], f'{SIDE_EDGES[-2]}+'], rotation=30, ha='right', fontsize=8)
    axes.set_xlabel('longer side in pixels')
    axes.set_ylabel('images')


def _scale_shares(axes: Any) -> None:
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter(_percent)
    axes.set_xlabel('share of the image (logarithmic)')


def _scale_aspects(axes: Any) -> None:
    axes.set_xscale('log', base=2)
    axes.xaxis.set_major_formatter(lambda value, place: f'{value:g}' if value >= 1 else f'1/{1 / value:g}')


def _percent(value: float, place: int | None = None) -> str:
    return f'{100 * value:g} %'


def _draw_masks_per_image(axes: Any, total: DatasetStatistics) -> None:
    numbers = range(max(total.masks_per_image, default=0) + 1)
    axes.bar(numbers, [total.masks_per_image[number] for number in numbers], color=_BLUE)
    axes.set_xlabel(
        'masks in an image (the last stands for 20 and more)' if len(numbers) > 20 else 'masks in an image'
    )
    axes.set_ylabel('images')
    axes.set_xticks(list(numbers))
