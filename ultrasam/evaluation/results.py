"""What an evaluation found, object by object, and its file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.errors import InputError

FORMAT = 'ultrasam evaluation 1'
OTHER_UPSAMPLING = '|'
_DIGITS = 6


@dataclass(frozen=True)
class ScoredObject:
    """An object that was prompted.

    Args:
        image: file name.
        annotation_id: in the annotation file.
        category: its name.
        subject: who was imaged, told apart from those of other data sets.
        dataset: where the image comes from.
        organ: as far as it is known.
        area_px: pixels of the true mask.
        area_share: of the image.
    """

    image: str
    annotation_id: int | str
    category: str
    subject: str
    dataset: str
    organ: str
    area_px: int
    area_share: float


@dataclass(frozen=True)
class ScoredFrame:
    """An image that was looked at.

    Args:
        image: file name.
        subject: who was imaged.
        dataset: where it comes from.
        organ: as far as it is known.
        objects: how many it has.
        spacing_mm: millimetres between rows and between columns, or None.
    """

    image: str
    subject: str
    dataset: str
    organ: str
    objects: int
    spacing_mm: Sequence[float] | None


@dataclass
class Results:
    """Scores of every object and frame.

    Args:
        objects: all that were prompted.
        frames: all images, those without object too.
        scores: by protocol (``'box'``; ``'box|binary'`` for the other way to upsample) and metric, one value for each
            object; NaN where there is none, such as millimetres without spacing.
        clicks: ``'dice'`` and ``'iou'`` of each object after each click.
        united: by protocol and metric, one value for each frame with objects, in order: all its masks as one.
        empty_frames: by protocol and quantity, one value for each frame without objects, in order.
        published: what the evaluator of the config says.
        counts: of what was evaluated and what was not.
        about: model, files, settings, versions.
        summary: intervals, groups, calibration: made from the rest.
    """

    objects: list[ScoredObject] = field(default_factory=list)
    frames: list[ScoredFrame] = field(default_factory=list)
    scores: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    clicks: dict[str, list[list[float]]] = field(default_factory=dict)
    united: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    empty_frames: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)

    def array(self, protocol: str, metric: str) -> np.ndarray:
        """Values of all objects, (N,), float, as exact as they are stored, so that a stored twin does not differ."""
        return np.array(_plain(self.scores[protocol][metric]), np.float64)

    def click_curve(self, metric: str) -> np.ndarray:
        """Overlap of all objects after each click, (N, clicks), float, likewise."""
        return np.array(_plain(self.clicks[metric]), np.float64)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: objects and frames as columns, numbers to six digits, None for what is no number."""
        return {
            'format': FORMAT,
            'about': self.about,
            'counts': self.counts,
            'published': _plain(self.published),
            'summary': _plain(self.summary),
            'objects': _columns(self.objects),
            'frames': _columns(self.frames),
            'scores': _plain(self.scores),
            'clicks': _plain(self.clicks),
            'united': _plain(self.united),
            'empty_frames': _plain(self.empty_frames),
        }


def read_results(path: Path) -> Results:
    """Read what an earlier evaluation wrote.

    Args:
        path: ``results.json``, or the folder that holds it.

    Raises:
        InputError: it is missing, damaged, or another kind of file.
    """
    path = path / 'results.json' if path.is_dir() else path
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if content['format'] != FORMAT:
            raise ValueError(f'of format {content["format"]!r}')
        results = Results(
            objects=[ScoredObject(**row) for row in _rows(content['objects'])],
            frames=[ScoredFrame(**row) for row in _rows(content['frames'])],
            **{
                key: _numbers(content[key])
                for key in ('scores', 'clicks', 'united', 'empty_frames', 'published')
            },
            **{key: content[key] for key in ('counts', 'about', 'summary')},
        )
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror}): give the results.json of an evaluation'
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{path} holds no evaluation ({error}): give the results.json of one') from error
    lengths = {len(values) for metrics in results.scores.values() for values in metrics.values()}
    if lengths - {len(results.objects)}:
        raise InputError(
            f'{path} is damaged, it has {len(results.objects)} objects and {lengths} scores: evaluate again'
        )
    return results


def _columns(records: Sequence[Any]) -> dict[str, list[Any]]:
    rows = [asdict(record) for record in records]
    return {key: [_plain(row[key]) for row in rows] for key in rows[0]} if rows else {}


def _rows(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: to some digits, and None for those that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (float, np.floating)):
        return float(f'{value:.{_DIGITS}g}') if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _numbers(value: Any) -> Any:
    """The reverse: NaN for None."""
    if isinstance(value, Mapping):
        return {key: _numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return math.nan if value is None else value
