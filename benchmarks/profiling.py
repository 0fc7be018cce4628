"""Where the time of a call goes, by operators of torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tables import duration
from torch.profiler import ProfilerActivity, profile

_SHOWN = 12


def print_profiles(sides: Mapping[str, Callable[[], Any]]) -> None:
    """Print the operators that take most of the time, of each side, after one call that does not count."""
    for name, call in sides.items():
        call()
        with profile(activities=[ProfilerActivity.CPU]) as found:
            call()
        averages = found.key_averages()
        total = sum(one.self_cpu_time_total for one in averages)
        sys.stdout.write(
            f'\n{name}: {duration(total / 1e6)}\n\n| operator | share | calls |\n|---|---|---|\n'
        )
        for one in sorted(averages, key=lambda one: -one.self_cpu_time_total)[:_SHOWN]:
            sys.stdout.write(f'| {one.key} | {one.self_cpu_time_total / total:.1%} | {one.count} |\n')
