"""From scores of single objects to figures with confidence intervals, by protocol and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ultrasam.errors import ConfigError
from ultrasam.evaluation.bootstrap import SubjectBootstrap
from ultrasam.evaluation.calibration import reliability, risk_coverage
from ultrasam.evaluation.protocols import SINGLE_PROMPTS
from ultrasam.evaluation.results import OTHER_UPSAMPLING, Results
from ultrasam.evaluation.suite import PREDICTED

GROUPS = ('dataset', 'organ', 'category', 'size')
NOC_THRESHOLDS = (0.85, 0.90)
_GROUP_METRICS = ('dice', 'iou', 'nsd_px', 'hd95_px', 'nsd_mm', 'hd95_mm')


def summarise(results: Results, *, samples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """All figures of an evaluation.

    Args:
        results: scores of each object; at least one.
        samples: draws of the bootstrap over subjects.
        seed: of the draws.

    Returns:
        ``protocols``, ``upsampling``, ``clicks``, ``groups``, ``calibration``, ``united`` and ``empty_frames``; each
        mean with its 95 % interval.

    Raises:
        ConfigError: there is no object, or too few draws.
    """
    if not results.objects:
        raise ConfigError('an evaluation without objects has nothing to sum up')
    bootstrap = SubjectBootstrap([one.subject for one in results.objects], samples=samples, seed=seed)
    shown = [frame for frame in results.frames if frame.objects]
    of_frames = SubjectBootstrap([frame.subject for frame in shown], samples=samples, seed=seed)
    plain = [name for name in results.scores if OTHER_UPSAMPLING not in name]
    return {
        'protocols': {name: _of_protocol(results, name, bootstrap) for name in results.scores},
        'upsampling': {name: pair for name in plain if (pair := _upsampling(results, name, bootstrap))},
        'clicks': _of_clicks(results, bootstrap) if results.clicks else {},
        'groups': {name: _of_groups(results, name, bootstrap) for name in plain},
        'calibration': {name: _calibration(results, name) for name in plain if _is_calibrated(name)},
        'united': {
            name: {metric: _interval(values, of_frames) for metric, values in columns.items()}
            | _with_empty(columns, len(results.frames))
            for name, columns in results.united.items()
        },
        'empty_frames': {name: _of_empty(columns) for name, columns in results.empty_frames.items()},
    }


def size_quartiles(area_shares: Sequence[float]) -> tuple[np.ndarray, list[str]]:
    """The quarter of each object by the share of the image that it fills, and what to call the quarters.

    Example:
        >>> size_quartiles([0.01, 0.02, 0.03, 0.04])[0].tolist()
        [0, 1, 2, 3]
    """
    shares = np.asarray(area_shares, np.float64)
    edges = np.percentile(shares, (25, 50, 75))
    ends = [shares.min(), *edges, shares.max()]
    names = [
        f'Q{i + 1}, {low:.2%} to {high:.2%} of the image' for i, (low, high) in enumerate(pairwise(ends))
    ]
    return np.searchsorted(edges, shares, side='left'), names


def number_of_clicks(curve: np.ndarray, threshold: float) -> np.ndarray:
    """Clicks that each object needs to reach an IoU; the most that were given where it never does.

    Args:
        curve: (N, clicks), float, IoU after each click.
        threshold: to reach.

    Returns:
        (N,), int.

    Example:
        >>> number_of_clicks(np.array([[0.5, 0.9], [0.2, 0.3]]), 0.85).tolist()
        [2, 2]
    """
    reached = curve >= threshold
    return np.where(reached.any(1), reached.argmax(1) + 1, curve.shape[1])


def _interval(values: Sequence[float] | np.ndarray, bootstrap: SubjectBootstrap) -> dict[str, Any] | None:
    found = bootstrap.interval(values)
    return None if found is None else found.as_dict()


def _of_protocol(results: Results, name: str, bootstrap: SubjectBootstrap) -> dict[str, Any]:
    columns = results.scores[name]
    figures: dict[str, Any] = {
        metric: _interval(values, bootstrap)
        for metric, values in columns.items()
        if metric not in ('empty', PREDICTED)
    }
    figures['dice_worst_decile'] = float(np.nanpercentile(columns['dice'], 10))
    figures['empty_masks'] = int(np.nansum(columns['empty']))
    return figures


def _upsampling(results: Results, name: str, bootstrap: SubjectBootstrap) -> dict[str, Any]:
    """The two ways to upsample beside each other, and the difference of the same objects."""
    found: dict[str, Any] = {}
    prefix = f'{name}{OTHER_UPSAMPLING}'
    for other in (key for key in results.scores if key.startswith(prefix)):
        for metric in ('dice', 'iou', 'nsd_px', 'hd95_px'):
            difference = results.array(other, metric) - results.array(name, metric)
            found[metric] = _interval(difference, bootstrap)
        found = {'other': other.removeprefix(prefix), 'other_minus_own': found}
    return found


def _of_clicks(results: Results, bootstrap: SubjectBootstrap) -> dict[str, Any]:
    curves = {metric: results.click_curve(metric) for metric in results.clicks}
    figures: dict[str, Any] = {
        metric: [_interval(column, bootstrap) for column in curve.T] for metric, curve in curves.items()
    }
    most = curves['iou'].shape[1]
    for threshold in NOC_THRESHOLDS:
        needed = number_of_clicks(curves['iou'], threshold)
        never = int((curves['iou'] < threshold).all(1).sum())
        figures[f'noc_{threshold * 100:.0f}'] = {
            **(_interval(needed, bootstrap) or {}),
            'never_reached': never,
            'most_clicks': most,
        }
    return figures


def _of_groups(results: Results, name: str, bootstrap: SubjectBootstrap) -> dict[str, Any]:
    columns = results.scores[name]
    found: dict[str, Any] = {}
    for kind, members in group_members(results).items():
        found[kind] = {}
        for label, chosen in members.items():
            intervals = {
                metric: bootstrap.interval(columns[metric], chosen)
                for metric in _GROUP_METRICS
                if metric in columns
            }
            found[kind][label] = {
                metric: interval.as_dict() for metric, interval in intervals.items() if interval is not None
            }
    return found


def group_members(results: Results) -> dict[str, dict[str, np.ndarray]]:
    """Objects (N,), bool, of each group of each kind of ``GROUPS``; groups in the order of their names."""
    quarter, names = size_quartiles([one.area_share for one in results.objects])
    labels = {
        'dataset': [one.dataset for one in results.objects],
        'organ': [one.organ for one in results.objects],
        'category': [one.category for one in results.objects],
        'size': [names[place] for place in quarter],
    }
    return {
        kind: {label: np.array([own == label for own in of_kind]) for label in sorted(set(of_kind))}
        for kind, of_kind in labels.items()
    }


def _is_calibrated(name: str) -> bool:
    return name in SINGLE_PROMPTS and not SINGLE_PROMPTS[name].is_control


def _calibration(results: Results, name: str) -> dict[str, Any]:
    predicted, true = results.array(name, PREDICTED), results.array(name, 'iou')
    bins, sorting = reliability(predicted, true), risk_coverage(predicted, true)
    return {
        'objects': len(true),
        'ece': bins.ece,
        'bias': bins.bias,
        'bins': {
            'edges': bins.edges,
            'counts': bins.counts,
            'predicted_iou': bins.predicted,
            'true_iou': bins.true,
        },
        'aurc': sorting.aurc,
        'aurc_ideal': sorting.ideal,
        'aurc_random': sorting.random,
        'risk_coverage': {'coverage': sorting.coverage, 'risk': sorting.risk},
    }


def _with_empty(columns: Mapping[str, Sequence[float]], frames: int) -> dict[str, Any]:
    """Means over all frames if one without object, which gets no prompt and so no mask, counts as 1."""
    return {
        f'{metric}_with_empty_frames': (sum(columns[metric]) + frames - len(columns[metric])) / frames
        for metric in ('dice', 'iou')
    }


def _of_empty(columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    shares = np.array(columns['area_share'], np.float64)
    predicted = np.array(columns[PREDICTED], np.float64)
    found = shares > 0
    return {
        'frames': len(shares),
        'false_positives': int(found.sum()),
        'rate': float(found.mean()),
        'mean_area_share': float(shares[found].mean()) if found.any() else 0.0,
        'mean_predicted_iou': float(predicted.mean()),
    }
