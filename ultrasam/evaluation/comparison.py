"""Two evaluations of the same objects: is one model better than the other?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ultrasam.errors import InputError
from ultrasam.evaluation.bootstrap import Interval, SubjectBootstrap
from ultrasam.evaluation.protocols import CLICKS
from ultrasam.evaluation.results import OTHER_UPSAMPLING, Results
from ultrasam.evaluation.summary import NOC_THRESHOLDS, number_of_clicks

COMPARED = ('dice', 'iou', 'nsd_px', 'hd95_px')
_MUST_AGREE = ('seed', 'clicks', 'tolerances', 'mask_upsampling')


@dataclass(frozen=True)
class Comparison:
    """Differences of one evaluation to another, object by object.

    Args:
        differences: by protocol and metric, this minus the other; an interval without 0 is a difference beyond chance.
        pairs: objects that both have.
        only_here: objects that the other lacks.
        only_there: objects that this one lacks.
        remarks: what makes the two less alike than they should be.
    """

    differences: dict[str, dict[str, Interval]]
    pairs: int
    only_here: int
    only_there: int
    remarks: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            'pairs': self.pairs,
            'only_here': self.only_here,
            'only_there': self.only_there,
            'remarks': self.remarks,
            'differences': {
                name: {metric: interval.as_dict() for metric, interval in of_protocol.items()}
                for name, of_protocol in self.differences.items()
            },
        }


def compare(here: Results, there: Results, *, samples: int = 2000, seed: int = 0) -> Comparison:
    """Compare two evaluations by the objects that both have, paired, subjects drawn with replacement.

    Args:
        here: an evaluation.
        there: another one.
        samples: draws of the bootstrap.
        seed: of the draws.

    Raises:
        InputError: they have no object or no protocol in common.
    """
    places = {(one.image, str(one.annotation_id)): i for i, one in enumerate(there.objects)}
    pairs = [
        (i, places[key])
        for i, one in enumerate(here.objects)
        if (key := (one.image, str(one.annotation_id))) in places
    ]
    names = [name for name in here.scores if name in there.scores and OTHER_UPSAMPLING not in name]
    if not pairs or not (names or (here.clicks and there.clicks)):
        raise InputError(
            'the two evaluations have no object and protocol in common: evaluate the same test set'
        )
    ours, theirs = np.array(pairs).T
    bootstrap = SubjectBootstrap([here.objects[i].subject for i in ours], samples=samples, seed=seed)
    differences: dict[str, dict[str, Interval]] = {}
    for name in names:
        differences[name] = {}
        for metric in COMPARED:
            values = here.array(name, metric)[ours] - there.array(name, metric)[theirs]
            interval = bootstrap.interval(values)
            if interval is not None:
                differences[name][metric] = interval
    if here.clicks and there.clicks:
        differences[CLICKS] = _clicks(here, there, ours, theirs, bootstrap)
    return Comparison(
        differences,
        len(pairs),
        len(here.objects) - len(pairs),
        len(there.objects) - len(pairs),
        _remarks(here, there),
    )


def _clicks(
    here: Results, there: Results, ours: np.ndarray, theirs: np.ndarray, bootstrap: SubjectBootstrap
) -> dict[str, Interval]:
    """Difference of the number of clicks that are needed: fewer are better."""
    one, other = here.click_curve('iou')[ours], there.click_curve('iou')[theirs]
    most = min(one.shape[1], other.shape[1])
    found = {}
    for threshold in NOC_THRESHOLDS:
        values = number_of_clicks(one[:, :most], threshold) - number_of_clicks(other[:, :most], threshold)
        interval = bootstrap.interval(values)
        if interval is not None:
            found[f'noc_{threshold * 100:.0f}'] = interval
    return found


def _remarks(here: Results, there: Results) -> list[str]:
    remarks = []
    files = [one.about.get('annotations', {}).get('sha256') for one in (here, there)]
    if files[0] != files[1]:
        remarks.append('the annotation files differ')
    settings = [one.about.get('settings', {}) for one in (here, there)]
    remarks += [
        f'{key} differs: {settings[0].get(key)} here, {settings[1].get(key)} there'
        for key in _MUST_AGREE
        if settings[0].get(key) != settings[1].get(key)
    ]
    return remarks
