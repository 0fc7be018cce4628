"""The verdict over all faults, as JSON and as tables."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from tests.faults.harness import CRASHED, LOSSY, QUIET, STACKS, SURVIVED, FaultResult

Description = Mapping[str, Any]
"""A fault as ``Fault.described`` gives it."""

_PACKAGES = ('torch', 'numpy', 'safetensors', 'mmengine', 'onedl-mmengine')


@dataclass
class Outcome:
    """What came of a run of the suite.

    Args:
        faults: all that were chosen.
        results: one a fault and stack.
        broken: what kept a group from being run, in words.
        seconds: that it took.
        cpu_seconds: of processor time in them.
    """

    faults: list[Description] = field(default_factory=list)
    results: list[FaultResult] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def executed(self) -> int:
        """How many of the faults gave a verdict on both stacks."""
        done = {(result.id, result.stack) for result in self.results if result.trials}
        return sum(all((fault['id'], stack) in done for stack in STACKS) for fault in self.faults)


def failures(outcome: Outcome) -> list[str]:
    """Everything that keeps the suite from passing, in words; empty if it passes."""
    found = [*outcome.broken]
    if not outcome.faults:
        found.append('no fault was chosen')
    by_key = {(result.id, result.stack): result for result in outcome.results}
    for fault in outcome.faults:
        ours, stock = (by_key.get((fault['id'], stack)) for stack in STACKS)
        for stack, result in (('ours', ours), ('stock', stock)):
            if result is None or not result.trials:
                why = result.error if result is not None else 'no result'
                found.append(f'{fault["id"]} was not run on {stack}: {why}')
        if ours is not None:
            found += _losses(ours)
        if stock is not None and stock.trials:
            share = 1 - stock.count(SURVIVED) / stock.trials
            if share < fault['stock_losses']:
                found.append(
                    f'{fault["id"]}: the stock libraries lose {share:.0%} of the trials, at least '
                    f'{fault["stock_losses"]:.0%} are known: the attack has lost its edge'
                )
    return found


def _losses(ours: FaultResult) -> list[str]:
    found = []
    for outcome in (LOSSY, QUIET, CRASHED):
        if ours.count(outcome):
            name, _, note = next(verdict for verdict in ours.verdicts if verdict[1] == outcome)
            found.append(f'{ours.id}: {ours.count(outcome)} x {outcome}, such as {name}: {note}')
    for name, count in (
        ('bytes lost', ours.bytes_lost),
        ('escapes', ours.escapes),
        ('payloads', ours.payloads_run),
    ):
        if count:
            found.append(f'{ours.id}: {name} {count}')
    return found


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The whole report."""
    return {
        'versions': {'python': platform.python_version(), **dict(_versions())},
        'seconds': outcome.seconds,
        'cpu_seconds': outcome.cpu_seconds,
        'registered': len(outcome.faults),
        'executed': outcome.executed,
        'failures': failures(outcome),
        'faults': [dict(fault) for fault in outcome.faults],
        'results': [result.as_dict() for result in outcome.results],
    }


def _versions() -> Iterable[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def as_markdown(outcome: Outcome) -> str:
    """A table of the kinds, ours beside stock, and the failures under it."""
    lines = [
        '| kind | faults | trials | survived | loud-lossy | quiet-wrong | crashed | bytes lost | escapes '
        '| payloads run | stock survived | stock payloads run |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    faults, results = outcome.faults, outcome.results
    kinds = sorted(
        {fault['id'].split('.')[0] for fault in faults}, key=lambda kind: (kind[0], len(kind), kind)
    )
    for kind in [*kinds, 'all']:
        mine = [r for r in results if r.stack == 'ours' and kind in (r.id.split('.')[0], 'all')]
        stock = [r for r in results if r.stack == 'stock' and kind in (r.id.split('.')[0], 'all')]
        outcomes = [sum(r.count(o) for r in mine) for o in (SURVIVED, LOSSY, QUIET, CRASHED)]
        sums = [sum(getattr(r, name) for r in mine) for name in ('bytes_lost', 'escapes', 'payloads_run')]
        trials = sum(r.trials for r in stock)
        stock_cells = [
            f'{sum(r.count(SURVIVED) for r in stock)} / {trials}',
            sum(r.payloads_run for r in stock),
        ]
        cells = [kind, len(mine), sum(r.trials for r in mine), *outcomes, *sums, *stock_cells]
        lines.append(f'| {" | ".join(map(str, cells))} |')
    wrong = failures(outcome)
    lines += [
        '',
        f'{outcome.executed} of {len(faults)} registered faults were run, in {outcome.seconds:.0f} s '
        f'({outcome.cpu_seconds:.0f} s of processor time).',
        *([f'- {failure}' for failure in wrong] or ['Every registered fault was run and survived.']),
    ]
    return '\n'.join(lines) + '\n'
