"""Runs of downstream tasks as the paper lays its tables 2 (instance segmentation) and 3 (classification) out."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from ultrasam.markdown import markdown_table
from ultrasam.openmmlab.downstream.published import PAPER_DATASETS, PAPER_ROWS, PEERS, PeerFigure
from ultrasam.openmmlab.downstream.runs import CHECKPOINTS, DownstreamRun

UNKNOWN = 'unknown'
_NOTHING = '-'


@dataclass(frozen=True)
class Layout:
    """What a table shows.

    Args:
        task: of its rows.
        title: of the table.
        metrics: keys and heads of the columns of each data set.
        prefixes: of the keys in a log, by task of the run.
    """

    task: str
    title: str
    metrics: Mapping[str, str]
    prefixes: Mapping[str, str]


LAYOUTS = (
    Layout(
        'segmentation',
        'Table 2: instance segmentation, mask AP in percent',
        {'segm_mAP': 'mAP', 'segm_mAP_50': 'AP50', 'segm_mAP_75': 'AP75'},
        {'segmentation': 'coco'},
    ),
    Layout(
        'classification',
        'Table 3: classification, means over classes in percent',
        {'precision': 'precision', 'recall': 'recall', 'f1': 'F1'},
        {'classification': 'classification', 'prompted': 'object'},
    ),
)


@dataclass(frozen=True)
class Cell:
    """A figure of some runs that differ in nothing but their seed.

    Args:
        encoder: row.
        checkpoint: ``'best'`` or ``'last'``.
        dataset: column.
        metric: key of the figure.
        mean: over the runs, in percent.
        sd: standard deviation between them (of a sample); None of one run.
        runs: how many.
    """

    encoder: str
    checkpoint: str
    dataset: str
    metric: str
    mean: float
    sd: float | None
    runs: int


@dataclass(frozen=True)
class Table:
    """A table of runs.

    Args:
        layout: what it shows.
        part: of the data, ``'test'`` or ``'val'``.
        datasets: columns.
        encoders: rows, those of the paper first.
        cells: what runs reached.
        peers: what others published.
    """

    layout: Layout
    part: str
    datasets: tuple[str, ...]
    encoders: tuple[str, ...]
    cells: tuple[Cell, ...]
    peers: tuple[PeerFigure, ...]


@dataclass(frozen=True)
class Report:
    """Tables, and what is in none of them.

    Args:
        tables: one a layout.
        notes: runs that were left out, each with the reason, and what is odd about others.
    """

    tables: tuple[Table, ...]
    notes: tuple[str, ...]


def tabulate(runs: Sequence[DownstreamRun], *, part: str = 'test') -> Report:
    """Put runs into the tables; runs of one encoder and data set are averaged.

    Args:
        runs: of any downstream task.
        part: of the data whose figures are shown.
    """
    tables = []
    for layout in LAYOUTS:
        ours = [run for run in runs if run.identity.task in layout.prefixes and run.is_finished]
        tables.append(_table(layout, ours, part))
    return Report(tuple(tables), tuple(_notes(runs, part)))


def _table(layout: Layout, runs: Sequence[DownstreamRun], part: str) -> Table:
    found: defaultdict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for run in runs:
        for checkpoint in CHECKPOINTS:
            figures = run.figures.get((part, checkpoint), {})
            for metric in layout.metrics:
                key = f'{layout.prefixes[run.identity.task]}/{metric}'
                if key in figures:
                    row = run.identity.encoder, checkpoint, run.identity.dataset, metric
                    found[row].append(100 * figures[key])
    cells = tuple(
        Cell(*row, fmean(values), stdev(values) if len(values) > 1 else None, len(values))
        for row, values in found.items()
    )
    paper = PAPER_ROWS[layout.task]
    others = sorted({cell.encoder for cell in cells} - set(paper))
    more = sorted({cell.dataset for cell in cells} - set(PAPER_DATASETS))
    datasets = (*PAPER_DATASETS, *more)
    peers = tuple(one for one in PEERS if one.task == layout.task and one.dataset in datasets)
    return Table(layout, part, datasets, (*paper, *others), cells, peers)


def _notes(runs: Sequence[DownstreamRun], part: str) -> list[str]:
    notes = []
    in_tables = {task for layout in LAYOUTS for task in layout.prefixes}
    for run in runs:
        what = f'{run.folder}: {run.identity.encoder} on {run.identity.dataset} ({run.identity.task})'
        notes += [f'{what}: {note}' for note in run.notes]
        if run.identity.task not in in_tables:
            notes.append(f'{what}: in no table of the paper, left out')
        elif not run.is_finished:
            notes.append(f'{what}: trained {run.reached} of {run.max_iters} iterations, left out')
        else:
            absent = [one for one in CHECKPOINTS if (part, one) not in run.figures]
            if absent:
                remedy = 'test it with tools/test.py' if part == 'test' else 'its log has no validation'
                notes.append(f'{what}: no {part} figures of the {" and ".join(absent)} checkpoint: {remedy}')
    counts = Counter((run.identity, run.seed) for run in runs if run.seed is not None and run.is_finished)
    for (identity, seed), count in counts.items():
        if count > 1:
            notes.append(
                f'{identity.encoder} on {identity.dataset} ({identity.task}): {count} runs of the same seed {seed}: '
                'their spread is not that of seeds; set randomness.seed'
            )
    return notes


def as_markdown(report: Report) -> str:
    """Tables and notes as text; cells are mean ± standard deviation, and the number of runs where there are several."""
    texts = [_markdown_table(table) for table in report.tables]
    if report.notes:
        texts.append('\n'.join(['Not in the tables, or odd:', '', *(f'- {note}' for note in report.notes)]))
    return '\n\n'.join(texts) + '\n'


def _markdown_table(table: Table) -> str:
    columns = [(dataset, metric) for dataset in table.datasets for metric in table.layout.metrics]
    heads = [f'{dataset} {table.layout.metrics[metric]}' for dataset, metric in columns]
    rows: list[tuple[str, ...]] = []
    values = {(cell.encoder, cell.checkpoint, cell.dataset, cell.metric): cell for cell in table.cells}
    for encoder in table.encoders:
        if encoder in PAPER_ROWS[table.layout.task]:
            shown = [UNKNOWN if dataset in PAPER_DATASETS else _NOTHING for dataset, _ in columns]
            rows.append((encoder, 'the paper', *shown))
        for checkpoint in CHECKPOINTS:
            cells = [values.get((encoder, checkpoint, *column)) for column in columns]
            if any(cells):
                rows.append((encoder, checkpoint, *map(_cell, cells)))
    for model in dict.fromkeys(peer.model for peer in table.peers):
        theirs = {(one.dataset, one.metric): one for one in table.peers if one.model == model}
        shown = [f'{theirs[one].percent:.1f}' if one in theirs else _NOTHING for one in columns]
        rows.append((model, 'published', *shown))
    title = f'## {table.layout.title}; {table.part} part'
    return '\n'.join([title, '', markdown_table(('encoder', 'checkpoint', *heads), rows), '', _legend(table)])


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return _NOTHING
    return f'{cell.mean:.1f}' if cell.sd is None else f'{cell.mean:.1f} ± {cell.sd:.1f} ({cell.runs})'


def _legend(table: Table) -> str:
    text = (
        f'Rows of the paper say "{UNKNOWN}" because its figures are not at hand here. A run chooses its best '
        'checkpoint by the validation part; several runs are mean ± standard deviation (number of runs).'
    )
    if any(cell.encoder.endswith('prompted') for cell in table.cells):
        text += ' Rows with "prompted" count objects, the others images.'
    for peer in table.peers:
        name = table.layout.metrics[peer.metric]
        text += f' {peer.model}, {peer.dataset} {name}: {peer.protocol} ({peer.source}).'
    return text


def as_json(report: Report) -> dict[str, Any]:
    """Tables and notes as plain values; figures in percent, null where the paper's are not at hand."""
    tables = []
    for table in report.tables:
        rows = PAPER_ROWS[table.layout.task]
        paper = [
            {'encoder': row, 'dataset': dataset, 'metric': metric, 'percent': None}
            for row in rows
            for dataset in PAPER_DATASETS
            for metric in table.layout.metrics
        ]
        tables.append(
            {
                'title': table.layout.title,
                'task': table.layout.task,
                'part': table.part,
                'runs': [asdict(cell) for cell in table.cells],
                'paper': paper,
                'peers': [asdict(peer) for peer in table.peers],
            }
        )
    return {'tables': tables, 'notes': list(report.notes)}


def as_csv(report: Report) -> str:
    """The figures of runs and of peers, one a line; notes are not in it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(
        ('task', 'part', 'encoder', 'checkpoint', 'dataset', 'metric', 'percent', 'sd', 'runs', 'source')
    )
    for table in report.tables:
        task = table.layout.task
        for cell in table.cells:
            spread = '' if cell.sd is None else f'{cell.sd:.4f}'
            what = cell.encoder, cell.checkpoint, cell.dataset, cell.metric
            writer.writerow((task, table.part, *what, f'{cell.mean:.4f}', spread, cell.runs, 'runs'))
        for peer in table.peers:
            what = peer.model, 'published', peer.dataset, peer.metric
            writer.writerow((task, 'test', *what, peer.percent, '', '', f'{peer.source}: {peer.protocol}'))
    return text.getvalue()
