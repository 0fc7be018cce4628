"""Figures of the benchmarks as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(content: Mapping[str, Any]) -> str:
    """The tables of one command."""
    lines = [f'### {content["name"]}', '', where(content['machine'])]
    if content['gemm']:
        rates = ', '.join(f'{name} {rate / 1e9:,.0f}' for name, rate in content['gemm'].items())
        lines.append(f'Matrix products in the same process, GFLOP/s: {rates}')
    timed = [row for row in content['rows'] if 'sides' in row]
    counted = [row for row in content['rows'] if 'values' in row]
    if timed:
        lines += ['', '| row | side | median (min to max) | ours is times as fast | difference | remarks |']
        lines += ['|---|---|---|---|---|---|', *(line for row in timed for line in _timed_lines(row))]
    if counted:
        lines += ['', '| row | figures | ratio to ours |', '|---|---|---|', *map(_counted_line, counted)]
    if content['quoted']:
        lines += ['', quotes(content['quoted']).rstrip()]
    lines += ['', *(f'- {note}' for note in content['notes'])] if content['notes'] else []
    return '\n'.join(lines) + '\n\n'


def quotes(quoted: Sequence[Mapping[str, str]]) -> str:
    """The table of figures that were not measured here."""
    lines = ['| published, not measured here | figure | source |', '|---|---|---|']
    lines += [f'| {quote["name"]} | {quote["value"]} | {quote["source"]} |' for quote in quoted]
    return '\n'.join(lines) + '\n'


def where(found: Mapping[str, Any]) -> str:
    """The machine in one line."""
    versions = ', '.join(f'{name} {version}' for name, version in found['versions'].items())
    return (
        f'{found["processor"]}, {found["cores"]} cores, {found["threads"]} threads, {found["memory_gib"]} GiB; '
        f'{found["gpu"]}; {versions}'
    )


def _timed_lines(row: Mapping[str, Any]) -> list[str]:
    lines = []
    for number, (side, taken) in enumerate(row['sides'].items()):
        faster, remarks = '', []
        if number:
            found = row['times_as_fast'][side]
            faster = f'**{found["ratio_of_medians"]:.2f}** ({found["min"]:.2f} to {found["max"]:.2f})'
        else:
            if 'rate' in row:
                remarks.append(f'{row["rate"] / 1e9:,.0f} GFLOP/s')
            if 'share_of_gemm' in row:
                remarks.append(f'{row["share_of_gemm"]:.0%} of {row["gemm"]}')
            if row.get('clock') == 'process_time':
                remarks.append('time of the processor')
            if row['disturbed']:
                remarks.append(f'disturbed: others took {row["others_share"]:.0%}')
        gap = f'{row["differences"][side]:.1e}' if side in row['differences'] else ''
        span = ' to '.join(duration(taken[key]) for key in ('min', 'max'))
        per = f' per {row["unit"]}' if row['unit'] else ''
        lines.append(
            f'| {"" if number else row["name"]} | {side} | {duration(taken["median"])}{per} ({span}) | {faster} '
            f'| {gap} | {", ".join(remarks)} |'
        )
    return lines


def _counted_line(row: Mapping[str, Any]) -> str:
    figures = ', '.join(f'{side} {value:.4g}' for side, value in row['values'].items())
    ratios = ', '.join(f'{side} {value:.2f}' for side, value in row['ratios'].items())
    return f'| {row["name"]} | {figures} {row["unit"]} | {ratios} |'


def duration(value: float) -> str:
    """Seconds in the unit that suits them."""
    return (
        f'{value:.3f} s'
        if value >= 1
        else f'{value * 1e3:.3g} ms'
        if value >= 1e-3
        else f'{value * 1e6:.3g} us'
    )
