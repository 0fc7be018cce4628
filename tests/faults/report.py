"""The verdict over all faults, as JSON and as tables."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

from tests.faults.harness import CRASHED, LOSSY, QUIET, STACKS, SURVIVED, FaultResult

Description = Mapping[str, Any]
"""A fault as ``Fault.described`` gives it."""

_PACKAGES = ('torch', 'numpy', 'safetensors', 'mmengine', 'onedl-mmengine')


def failures(faults: Sequence[Description], results: Sequence[FaultResult]) -> list[str]:
    """Everything that keeps the suite from passing, in words; empty if it passes."""
    found = []
    by_key = {(result.id, result.stack): result for result in results}
    for fault in faults:
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


def as_json(faults: Sequence[Description], results: Sequence[FaultResult]) -> dict[str, Any]:
    """The whole report."""
    return {
        'versions': {'python': platform.python_version(), **dict(_versions())},
        'registered': len(faults),
        'executed': len({result.id for result in results if result.trials and result.stack == 'ours'}),
        'failures': failures(faults, results),
        'faults': [dict(fault) for fault in faults],
        'results': [result.as_dict() for result in results],
    }


def _versions() -> Iterable[tuple[str, str]]:
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def as_markdown(faults: Sequence[Description], results: Sequence[FaultResult]) -> str:
    """A table of the kinds, ours beside stock, and the failures under it."""
    lines = [
        '| kind | faults | trials | survived | loud-lossy | quiet-wrong | crashed | bytes lost | escapes '
        '| payloads run | stock survived | stock payloads run |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ]
    kinds = list(dict.fromkeys(fault['id'].split('.')[0] for fault in faults))
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
    wrong = failures(faults, results)
    lines += [
        '',
        *([f'- {failure}' for failure in wrong] or ['Every registered fault was run and survived.']),
    ]
    return '\n'.join(lines) + '\n'
