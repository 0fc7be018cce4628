"""Plots of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.evaluation.protocols import CLICKS, SINGLE_PROMPTS
from ultrasam.evaluation.results import Results
from ultrasam.evaluation.summary import NOC_THRESHOLDS
from ultrasam.optional import optional_module

_BLUE, _ORANGE, _GREEN, _GRAY = '#0072b2', '#d55e00', '#009e73', '#777777'
_DPI = 120
_ROW = 0.3
_MOST_GROUPS = 24
_LONGEST_NAME = 44
GROUP_KINDS = {'dataset': 'data set', 'organ': 'organ', 'category': 'category', 'size': 'size of the object'}
# of which groups and calibration are drawn; the file of results has them of every protocol
SHOWN = {'centre': _ORANGE, 'box': _BLUE}


@dataclass(frozen=True)
class _Drawing:
    """A plot, and the size of its figure in inches."""

    name: str
    title: str
    height: float
    draw: Callable[[Any], None]
    width: float = 9.0


def check_installed() -> None:
    """See that plots can be drawn, before long work begins.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    _figure(1.0)


def draw_plots(results: Results, folder: Path) -> dict[str, str]:
    """Draw every plot that the results have something for.

    Args:
        results: with their summary.
        folder: where the PNG files go.

    Returns:
        Title of each file, by its name.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    titles = {}
    for drawing in _drawings(results.summary):
        figure, axes = _figure(drawing.height, drawing.width)
        drawing.draw(axes)
        axes.set_title(drawing.title)
        figure.savefig(folder / f'{drawing.name}.png', metadata={'Software': None})
        titles[f'{drawing.name}.png'] = drawing.title
    return titles


def _drawings(summary: Mapping[str, Any]) -> Iterator[_Drawing]:
    """What there is something to draw for."""
    protocols = summary['protocols']
    single = [name for name in SINGLE_PROMPTS if name in protocols]
    if single:
        draw = partial(_draw_protocols, protocols=protocols, names=single)
        yield _Drawing('protocols', 'Dice by prompt', 1.5 + _ROW * len(single), draw)
    jitters = [name for name in single if SINGLE_PROMPTS[name].jitter is not None]
    if len(jitters) > 1:
        draw = partial(_draw_jitter, protocols=protocols, names=jitters)
        yield _Drawing('jitter', 'How exact a box must be', 4.2, draw)
    if summary['clicks']:
        draw = partial(_draw_clicks, clicks=summary['clicks'])
        yield _Drawing('clicks', 'Overlap after each click', 4.2, draw)
    calibrated = {name: summary['calibration'][name] for name in SHOWN if name in summary['calibration']}
    if calibrated:
        draw = partial(_draw_reliability, calibrated=calibrated)
        yield _Drawing('reliability', 'Predicted against true IoU', 5.6, draw, width=5.6)
        draw = partial(_draw_risk, calibrated=calibrated)
        yield _Drawing('risk_coverage', 'What is left wrong when doubtful masks are put aside', 4.4, draw)
    for kind, title in GROUP_KINDS.items():
        groups = {name: summary['groups'][name][kind] for name in SHOWN if name in summary['groups']}
        labels = _largest(groups)
        if len(labels) > 1:
            draw = partial(_draw_groups, groups=groups, labels=labels)
            yield _Drawing(f'by_{kind}', f'Dice by {title}', 1.7 + 1.3 * _ROW * len(labels), draw)


def draw_differences(differences: Mapping[str, Mapping[str, Any]], target: Path) -> None:
    """Draw the difference of two evaluations in Dice, by protocol.

    Args:
        differences: by protocol and metric, intervals as dictionaries.
        target: PNG file to write.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    rows = {name: of['dice'] for name, of in differences.items() if name != CLICKS and 'dice' in of}
    figure, axes = _figure(1.5 + _ROW * max(1, len(rows)))
    for place, interval in enumerate(rows.values()):
        _draw_interval(axes, place, interval, _BLUE)
    axes.axvline(0, color=_GRAY, linewidth=1)
    _name_rows(axes, [_title(name) for name in rows])
    axes.set_xlabel('difference in Dice, this minus the other (line: 95 % interval over subjects)')
    axes.set_title('Two evaluations of the same objects')
    figure.savefig(target, metadata={'Software': None})


def _figure(height: float, width: float = 9.0) -> tuple[Any, Any]:
    figures = optional_module('matplotlib.figure', need='drawing plots', extra='evaluation')
    figure = figures.Figure(figsize=(width, height), dpi=_DPI, layout='constrained')
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _title(name: str) -> str:
    return SINGLE_PROMPTS[name].title if name in SINGLE_PROMPTS else name


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    short = [name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + '…' for name in names]
    axes.set_yticks(np.arange(len(short)), short)
    axes.set_ylim(len(short) - 0.5, -0.5)


def _draw_interval(
    axes: Any, place: float, interval: Mapping[str, Any], colour: str, label: str | None = None
) -> None:
    if interval['low'] is not None:
        axes.plot([interval['low'], interval['high']], [place, place], color=colour, linewidth=2)
    axes.plot(interval['mean'], place, 'o', color=colour, label=label)


def _draw_protocols(axes: Any, protocols: Mapping[str, Any], names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        colour = _GRAY if SINGLE_PROMPTS[name].is_control else _BLUE
        _draw_interval(axes, place, protocols[name]['dice'], colour)
        axes.plot(
            protocols[name]['dice_worst_decile'], place, '|', color=colour, markersize=10, markeredgewidth=2
        )
    _name_rows(axes, [_title(name) for name in names])
    axes.set_xlim(0, 1)
    if any(SINGLE_PROMPTS[name].is_control for name in names):
        axes.plot([], [], 'o', color=_GRAY, label='controls: without model, or without its image')
        axes.figure.legend(loc='outside upper right')
    axes.set_xlabel('Dice: mean (dot), 95 % interval over subjects (line), tenth percentile (bar)')


def _draw_jitter(axes: Any, protocols: Mapping[str, Any], names: Sequence[str]) -> None:
    shares = [100 * (SINGLE_PROMPTS[name].jitter or 0.0) for name in names]
    _draw_band(axes, shares, [protocols[name]['dice'] for name in names], _BLUE, 'mean')
    worst = [protocols[name]['dice_worst_decile'] for name in names]
    axes.plot(shares, worst, 's--', color=_ORANGE, label='tenth percentile')
    axes.set_xticks(shares)
    axes.set_xlabel('each side of the box moved by up to (% of its width or height)')
    axes.set_ylabel('Dice')
    axes.legend(loc='best')


def _draw_band(
    axes: Any, xs: Sequence[float], intervals: Sequence[Mapping[str, Any]], colour: str, label: str
) -> None:
    """A curve of means, in a band of their intervals."""
    axes.plot(xs, [one['mean'] for one in intervals], 'o-', color=colour, label=label)
    if all(one['low'] is not None for one in intervals):
        low, high = ([one[end] for one in intervals] for end in ('low', 'high'))
        axes.fill_between(
            xs, low, high, color=colour, alpha=0.18, linewidth=0, label='95 % interval over subjects'
        )


def _draw_clicks(axes: Any, clicks: Mapping[str, Any]) -> None:
    numbers = np.arange(1, len(clicks['dice']) + 1)
    _draw_band(axes, numbers.tolist(), clicks['dice'], _BLUE, 'Dice, mean')
    axes.plot(numbers, [one['mean'] for one in clicks['iou']], 's-', color=_GREEN, label='IoU, mean')
    for threshold, mark in zip(NOC_THRESHOLDS, 'D^', strict=True):
        needed = clicks[f'noc_{threshold * 100:.0f}']
        axes.axhline(threshold, color=_GRAY, linestyle=':', linewidth=1)
        axes.plot(
            needed['mean'],
            threshold,
            mark,
            color=_ORANGE,
            markersize=8,
            label=f'clicks to IoU {threshold:.2f}: {needed["mean"]:.1f} (never: {needed["never_reached"]})',
        )
    axes.set_xlabel('clicks')
    axes.set_ylabel('overlap with the truth')
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(top=1.0)
    axes.legend(loc='lower right')


def _draw_reliability(axes: Any, calibrated: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], color=_GRAY, linestyle='--', linewidth=1, label='predicted = true')
    for name, one in calibrated.items():
        counts = np.asarray(one['bins']['counts'])
        there = counts > 0
        xs, ys = (np.asarray(one['bins'][key], float)[there] for key in ('predicted_iou', 'true_iou'))
        label = f'{_title(name)}: ECE {one["ece"]:.3f}'
        axes.plot(xs, ys, color=SHOWN[name], linewidth=1, alpha=0.6)
        axes.scatter(
            xs, ys, s=12 + 160 * counts[there] / counts.sum(), color=SHOWN[name], label=label, alpha=0.8
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect('equal')
    axes.set_xlabel('predicted IoU, mean of a bin')
    axes.set_ylabel('true IoU, mean of a bin')
    # marks of equal size in the legend, whatever the first bin holds
    for handle in axes.legend(loc='upper left', title='area of a dot: share of the masks').legend_handles[1:]:
        handle.set_sizes([50])


def _draw_risk(axes: Any, calibrated: Mapping[str, Any]) -> None:
    for name, one in calibrated.items():
        coverage = 100 * np.asarray(one['risk_coverage']['coverage'], float)
        label = f'{_title(name)}: area {one["aurc"]:.3f} (ideal order {one["aurc_ideal"]:.3f})'
        axes.plot(coverage, one['risk_coverage']['risk'], color=SHOWN[name], label=label)
        axes.axhline(one['aurc_random'], color=SHOWN[name], linestyle=':', linewidth=1)
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel('masks kept, those with the highest predicted IoU first (%)')
    axes.set_ylabel('mean of 1 - IoU over those kept')
    axes.plot([], [], color=_GRAY, linestyle=':', label='any order')
    axes.legend(loc='best')


def _largest(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The groups to draw: those of most objects, in the order of their names."""
    first: Mapping[str, Any] = next(iter(groups.values()), {})
    by_count = sorted(first, key=lambda label: -first[label]['dice']['count'])
    return sorted(by_count[:_MOST_GROUPS])


def _draw_groups(axes: Any, groups: Mapping[str, Mapping[str, Any]], labels: Sequence[str]) -> None:
    for shift, (name, of_protocol) in zip((-0.15, 0.15), groups.items(), strict=False):
        for place, label in enumerate(labels):
            _draw_interval(
                axes,
                place + shift,
                of_protocol[label]['dice'],
                SHOWN[name],
                _title(name) if place == 0 else None,
            )
    first = next(iter(groups.values()))
    _name_rows(axes, [f'{label[: _LONGEST_NAME - 8]} ({first[label]["dice"]["count"]})' for label in labels])
    axes.set_xlim(0, 1)
    axes.set_xlabel('Dice: mean (dot), 95 % interval over subjects (line); in brackets: objects')
    # outside: any place within may hold a group
    axes.figure.legend(loc='outside upper right', ncols=len(groups))
