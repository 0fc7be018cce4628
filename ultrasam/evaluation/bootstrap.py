"""Confidence intervals that respect subjects: frames of one patient are no independent observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ultrasam.errors import ConfigError

_ROWS = 128


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Args:
        mean: over all values.
        low: lower end; None where fewer than two subjects have values.
        high: upper end, likewise.
        count: values.
        subjects: subjects that have any.
    """

    mean: float
    low: float | None
    high: float | None
    count: int
    subjects: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON."""
        return {
            'mean': self.mean,
            'low': self.low,
            'high': self.high,
            'count': self.count,
            'subjects': self.subjects,
        }


class SubjectBootstrap:
    """Draws subjects with replacement, each with all its values (cluster bootstrap, percentile interval).

    Args:
        subjects: of each value.
        samples: draws.
        seed: of the draws.
        confidence: of the intervals.

    Raises:
        ConfigError: no values, too few draws, or a confidence that is no share.

    Example:
        >>> bootstrap = SubjectBootstrap(['a', 'a', 'b', 'c'], samples=1000, seed=0)
        >>> bootstrap.interval([0.9, 0.8, 0.5, 0.6]).mean
        0.7
    """

    def __init__(
        self, subjects: Sequence[str], *, samples: int = 2000, seed: int = 0, confidence: float = 0.95
    ) -> None:
        if not len(subjects) or samples < 10 or not 0 < confidence < 1:
            raise ConfigError(
                f'{len(subjects)} values, {samples} draws, confidence {confidence}: give values, at least 10 draws, '
                'and a confidence between 0 and 1'
            )
        names, self._subject_of = np.unique(np.asarray(subjects, str), return_inverse=True)
        self._number = len(names)
        self._tails = 50 * (1 - confidence), 50 * (1 + confidence)
        rng = np.random.default_rng(seed)
        # how often each subject is drawn, (samples, subjects): rarely beyond 10, so that a byte holds it
        self._draws = np.empty((samples, self._number), np.uint8)
        for start in range(0, samples, _ROWS):
            rows = min(_ROWS, samples - start)
            picks = rng.integers(self._number, size=(rows, self._number))
            picks += np.arange(rows)[:, None] * self._number
            counted = np.bincount(picks.ravel(), minlength=rows * self._number).clip(max=255)
            self._draws[start : start + rows] = counted.reshape(rows, self._number)

    def interval(
        self, values: Sequence[float] | np.ndarray, chosen: np.ndarray | None = None
    ) -> Interval | None:
        """Mean and interval of values, one for each entry of ``subjects``; those that are NaN are left out.

        Args:
            values: (N,), float.
            chosen: (N,), bool; None takes all.

        Returns:
            None where there is no value.
        """
        values = np.asarray(values, np.float64)
        there = np.isfinite(values) if chosen is None else np.isfinite(values) & chosen
        if not there.any():
            return None
        of = self._subject_of[there]
        counts = np.bincount(of, minlength=self._number).astype(np.float64)
        sums = np.bincount(of, values[there], minlength=self._number)
        subjects = int(np.count_nonzero(counts))
        mean, count = float(values[there].mean()), int(there.sum())
        if subjects < 2:
            return Interval(mean, None, None, count, subjects)
        used = np.flatnonzero(counts)
        totals = np.concatenate(
            [
                self._draws[start : start + _ROWS, used].astype(np.float64)
                @ np.stack([sums[used], counts[used]], axis=1)
                for start in range(0, len(self._draws), _ROWS)
            ]
        )
        # of a small group, a draw may hold nobody
        filled = totals[:, 1] > 0
        low, high = np.percentile(totals[filled, 0] / totals[filled, 1], self._tails)
        return Interval(mean, float(low), float(high), count, subjects)
