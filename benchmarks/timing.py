"""How rows are timed: both sides take turns in one process, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence


def seconds(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Wall time of one call, or its time by another clock."""
    start = clock()
    call()
    return clock() - start


def in_turns(calls: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Times of each call, one warm-up run aside.

    Args:
        calls: what to time.
        repeats: counted runs of each.

    Returns:
        For each call its times in seconds; the n-th of all calls were taken in the same round.
    """
    for call in calls:
        call()
    rounds = [[seconds(call) for call in calls] for _ in range(repeats)]
    return [list(times) for times in zip(*rounds, strict=True)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Times as fast: of the medians, and least and most of the rounds."""
    rounds = [t / o for o, t in zip(ours, theirs, strict=True)]
    return (
        f'{statistics.median(theirs) / statistics.median(ours):.2f} ({min(rounds):.2f} to {max(rounds):.2f})'
    )


def milliseconds(times: Sequence[float]) -> str:
    """Median, least and most."""
    return f'{statistics.median(times) * 1e3:.1f} ms ({min(times) * 1e3:.1f} to {max(times) * 1e3:.1f})'
