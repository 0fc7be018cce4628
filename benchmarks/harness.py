"""What every row of ``make bench`` is made of: equality first, sides in turns, the machine beside the figures.

A command of a row is built like this::

    parser = harness.parser(__doc__)                    # --repeats, --threads, --full, --strict, --json
    args = parser.parse_args()
    report = harness.Report('decoder', args)            # sets the threads, notes machine and versions
    report.gemm(torch.float32, torch.bfloat16)          # rates of this process, printed beside the rows
    report.compare('1 box', {'ours': a, 'segment-anything': b}, tolerance=1e-5, flop=3.62e9)
    report.quote('1 box, 20 slots', '29 times', 'published implementation, its own report')
    report.finish()                                     # Markdown to stdout, JSON where --json says

The first side is ours.  Sides return what is compared (tensors, arrays, or anything with ``==``) and must do their
whole work in the call; what takes less than 20 ms is called several times in its turn.  A row whose results differ by
more than the tolerance is not timed: the command ends with the difference.  A row during which other processes took
more than 12 % of the machine is marked, and with ``--strict`` refused.  Memory and other figures without a clock go
in with :meth:`Report.figures`; what needs a GPU asks :func:`gpu` and calls :meth:`Report.absent` when there is none.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import Watch, machine, products
from tables import markdown
from timing import seconds

from ultrasam.atomic import publish_json

LARGEST_SHARE_OF_OTHERS = 0.12
SHORTEST_TURN_S = 0.02
Call = Callable[[], Any]


def parser(description: str | None, *, repeats: int = 5) -> argparse.ArgumentParser:
    """The options that every row has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument('--repeats', type=int, default=repeats, help=f'counted rounds (default: {repeats})')
    made.add_argument(
        '--threads', type=int, help='threads of torch (default: what it takes itself, one a core)'
    )
    made.add_argument('--full', action='store_true', help='every case, instead of the quick ones')
    made.add_argument('--strict', action='store_true', help='refuse rows while other processes are at work')
    made.add_argument('--json', type=Path, help='file for the figures')
    return made


def gpu() -> torch.device | None:
    """The GPU, if there is one."""
    return torch.device('cuda') if torch.cuda.is_available() else None


class Report:
    """Rows of one command, and where they were measured.

    Args:
        name: of the command.
        args: of :func:`parser`.
        device: where the sides work; a GPU is waited for before a clock is read.
    """

    def __init__(self, name: str, args: argparse.Namespace, device: torch.device | None = None) -> None:
        if args.threads:
            torch.set_num_threads(args.threads)
        self.name = name
        self.args = args
        self.device = device
        self.rates: dict[str, float] = {}
        self.rows: list[dict[str, Any]] = []
        self.quoted: list[dict[str, str]] = []
        self.notes: list[str] = []

    def gemm(self, *dtypes: torch.dtype) -> dict[str, float]:
        """Rates of matrix products in this process, FLOP/s by name; the median of several, each of some 20 GFLOP."""
        for dtype in dtypes:
            for name, call, flop in products(dtype, self.device or torch.device('cpu')):
                call()
                self.rates[name] = flop / statistics.median(self._seconds(call) for _ in range(7))
        return self.rates

    def compare(
        self,
        name: str,
        sides: Mapping[str, Call],
        *,
        tolerance: float | Mapping[str, float] = 0.0,
        repeats: int | None = None,
        flop: float | None = None,
        gemm: str | None = None,
        units: int = 1,
        unit: str = '',
        clock: Callable[[], float] = time.perf_counter,
    ) -> dict[str, Any]:
        """Check that all sides give what the first gives, time them in turns, and add the row.

        Args:
            name: of the row.
            sides: what to time, by name; the first is ours.
            tolerance: largest absolute difference from ours, for all or by the name of a side; infinite: unchecked.
            repeats: counted rounds after the one that checks; None for ``--repeats``.
            flop: operations of one call, for a rate.
            gemm: name of the rate in :meth:`gemm` to compare that rate with.
            units: images, prompts or alike in one call: times are given for each of them.
            unit: what they are.
            clock: ``time.process_time`` for work that keeps to one core, whose figure others at work then disturb less.
        """
        differences = self._differences(name, sides, tolerance)
        watch = Watch()
        calls = {side: self._calls_a_turn(call, clock) for side, call in sides.items()}
        rounds = [
            [self._seconds(call, clock, calls[side]) / units for side, call in sides.items()]
            for _ in range(repeats or self.args.repeats)
        ]
        times = dict(zip(sides, map(list, zip(*rounds, strict=True)), strict=True))
        ours = next(iter(times.values()))
        row: dict[str, Any] = dict(
            name=name,
            unit=unit,
            clock=clock.__name__,
            others_share=watch.share_of_others(),
            sides={side: _summary(taken) for side, taken in times.items()},
            differences=differences,
            times_as_fast={
                side: _summary([theirs / mine for theirs, mine in zip(taken, ours, strict=True)])
                | dict(ratio_of_medians=statistics.median(taken) / statistics.median(ours))
                for side, taken in list(times.items())[1:]
            },
        )
        if flop:
            rate = flop / units / statistics.median(ours)
            row.update(flop=flop / units, rate=rate)
            if gemm in self.rates:
                row.update(gemm=gemm, share_of_gemm=rate / self.rates[gemm])
        row['disturbed'] = row['others_share'] > LARGEST_SHARE_OF_OTHERS
        if row['disturbed'] and self.args.strict:
            sys.exit(
                f'{name}: other processes took {row["others_share"]:.0%} of the machine; wait, then again'
            )
        self.rows.append(row)
        return row

    def figures(self, name: str, values: Mapping[str, float], unit: str, **more: Any) -> None:
        """Add a row of figures that are no times, such as memory; ``unit`` says what they are."""
        ours = next(iter(values.values()))
        ratios = {side: value / ours for side, value in list(values.items())[1:] if ours}
        self.rows.append(dict(name=name, unit=unit, values=dict(values), ratios=ratios, **more))

    def quote(self, name: str, value: str, source: str) -> None:
        """Add a published figure, which was not measured here."""
        self.quoted.append(dict(name=name, value=value, source=source))

    def absent(self, name: str, why: str = 'no GPU here') -> None:
        """Say that a row was not measured, and why."""
        self.notes.append(f'{name}: not measured, {why}')

    def note(self, text: str) -> None:
        """Add a line below the tables."""
        self.notes.append(text)

    def finish(self) -> None:
        """Print the tables, and write the figures where ``--json`` says."""
        content = self.content()
        sys.stdout.write(markdown(content))
        sys.stdout.flush()
        if self.args.json:
            publish_json(self.args.json, content, overwrite=True)

    def content(self) -> dict[str, Any]:
        """All that was found, as JSON takes it."""
        return dict(
            name=self.name,
            machine=machine(self.device),
            gemm=self.rates,
            rows=self.rows,
            quoted=self.quoted,
            notes=self.notes,
        )

    def _differences(
        self, name: str, sides: Mapping[str, Call], tolerance: float | Mapping[str, float]
    ) -> dict[str, float]:
        results = {side: call() for side, call in sides.items()}
        first = next(iter(results.values()))
        found = {}
        for side, result in list(results.items())[1:]:
            allowed = tolerance.get(side, 0.0) if isinstance(tolerance, Mapping) else tolerance
            if allowed == float('inf'):
                continue
            found[side] = difference(first, result)
            if not found[side] <= allowed:
                sys.exit(
                    f'{name}: {side} differs from ours by {found[side]:g}, over {allowed:g}: nothing timed'
                )
        return found

    def _calls_a_turn(self, call: Call, clock: Callable[[], float]) -> int:
        """How often a side is called in its turn, so that a turn is longer than what a clock and a scheduler blur."""
        return math.ceil(SHORTEST_TURN_S / max(self._seconds(call, clock), 1e-6))

    def _seconds(self, call: Call, clock: Callable[[], float] = time.perf_counter, calls: int = 1) -> float:
        """Time of one call, as the mean of several in a row."""
        on_gpu = self.device is not None and self.device.type != 'cpu'

        def turn() -> None:
            for _ in range(calls):
                call()
            if on_gpu:
                torch.cuda.synchronize(self.device)

        if on_gpu:
            torch.cuda.synchronize(self.device)
        return seconds(turn, clock) / calls


def difference(a: Any, b: Any) -> float:
    """Largest absolute difference of two results; infinite where they cannot be compared or a value is not finite."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        if len(a) != len(b):
            return float('inf')
        return max((difference(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
    if isinstance(a, (torch.Tensor, np.ndarray)) and isinstance(b, (torch.Tensor, np.ndarray)):
        x, y = (torch.as_tensor(value).detach().to('cpu', torch.float64) for value in (a, b))
        if x.shape != y.shape:
            return float('inf')
        if not x.numel():
            return 0.0
        found = float((x - y).abs().max())
        return found if np.isfinite(found) else float('inf')
    return 0.0 if a == b else float('inf')


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return dict(median=statistics.median(values), min=min(values), max=max(values), all=list(values))
