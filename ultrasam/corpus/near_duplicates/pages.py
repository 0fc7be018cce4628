"""The report of a search: a table, Markdown, and contact sheets of the pairs side by side."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_folder, refuse_existing
from ultrasam.corpus.near_duplicates.listing import Picture
from ultrasam.corpus.near_duplicates.search import NearDuplicate, NearDuplicateReport
from ultrasam.errors import OutputError
from ultrasam.io.readers.image import read_image
from ultrasam.io.sheets import fit_tile, tile_sheet, write_caption, write_sheets
from ultrasam.markdown import markdown_table

_TABLE = 'near_duplicates.csv'
_TILE_PX = 240
_LISTED = 50
_COLUMNS = (
    'leak',
    'kind',
    'agreement',
    'bits',
    'mirrored',
    *(f'{fact}_{side}' for side in 'ab' for fact in ('image', 'part', 'subject')),
)


def check_target(target: Path, *, overwrite: bool) -> None:
    """See that a report may be written, before the work begins: no folder with anything else in it is replaced.

    Raises:
        OutputError: the folder holds a report and must not be replaced, or it holds something else.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / _TABLE).is_file():
        raise OutputError(f'{target} holds something else: name a folder that is not there, or is empty')
    refuse_existing(target / _TABLE, overwrite=overwrite)


def write_pages(
    target: Path, report: NearDuplicateReport, *, shown: int = 400, overwrite: bool = False
) -> Path:
    """Write ``near_duplicates.csv`` with all pairs, ``README.md``, and pages with the pairs side by side.

    Args:
        target: folder to write.
        report: of a search.
        shown: at most so many pairs are on the pages, leaks first.
        overwrite: replace the folder.

    Returns:
        The folder.

    Raises:
        InputError: an image can no longer be read.
        OutputError: the folder is there already, or cannot be written.
    """
    check_target(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with publish_folder(target, overwrite=overwrite) as folder:
        with (folder / _TABLE).open('w', encoding='utf-8', newline='') as file:
            table = csv.writer(file)
            table.writerow(_COLUMNS)
            table.writerows(_row(pair) for pair in report.pairs)
        write_sheets(
            folder, 'pairs', map(_side_by_side, report.pairs[:shown]), columns=3, rows=6, tile=2 * _TILE_PX
        )
        (folder / 'README.md').write_text(overview_text(report), encoding='utf-8')
    return target


def _row(pair: NearDuplicate) -> tuple[Any, ...]:
    facts = [fact for one in (pair.first, pair.second) for fact in (one.name, one.part, one.subject)]
    return (
        'yes' if pair.is_leak else '',
        pair.kind,
        round(pair.agreement, 4),
        pair.bits,
        'yes' if pair.mirrored else '',
        *facts,
    )


def overview_text(report: NearDuplicateReport) -> str:
    """The page in Markdown: counts, which data sets and parts share images, and the first pairs."""
    lines = ['# Near-duplicates', '', *(f'- {line}' for line in summary_lines(report)), '']
    shared = Counter(_between(pair) for pair in report.pairs)
    if shared:
        between = [(one, other, f'{count:,}') for (one, other), count in sorted(shared.items())]
        lines += ['## Between', '', markdown_table(('one', 'other', 'pairs'), between)]
        title = 'Pairs' if len(report.pairs) <= _LISTED else f'The first {_LISTED} pairs'
        listed = [
            ('leak' if pair.is_leak else '', _cell(pair.first), _cell(pair.second), f'{pair.agreement:.2f}')
            for pair in report.pairs[:_LISTED]
        ]
        lines += ['', f'## {title}', '', markdown_table(('', 'one', 'other', 'agreement'), listed)]
        lines += ['', f'All pairs: {_TABLE}. Side by side: pairs_001.jpg and so on.']
    return '\n'.join(lines) + '\n'


def summary_lines(report: NearDuplicateReport) -> list[str]:
    """What was found, a sentence each."""
    lines = [
        f'{report.images:,} images of {len(report.corpus.datasets)} data sets compared; '
        f'{report.proposed:,} pairs of close hashes looked at',
        f'{len(report.leaks):,} leaks: pairs of images that show the same frame, in two of train, val and test',
        f'{len(report.pairs) - len(report.leaks):,} pairs of different subjects in one part, or not split yet',
        f'{report.alike_in_group:,} images look like another of their own subject and part (by hash alone, not listed)',
    ]
    if report.blank:
        lines.append(
            f'{len(report.blank):,} images show nothing that could be compared, first {report.blank[0].name}'
        )
    if report.not_followed:
        lines.append(
            f'{report.not_followed:,} more pairs of close hashes were not looked at, since one of the images has 20 '
            'that are closer: run again once these are sorted out'
        )
    return lines


def _between(pair: NearDuplicate) -> tuple[str, str]:
    one, other = sorted(
        f'{_escaped(picture.dataset)} {picture.part}' for picture in (pair.first, pair.second)
    )
    return one, other


def _cell(picture: Picture) -> str:
    return f'{_escaped(picture.name)} ({picture.part})'


def _escaped(text: str) -> str:
    return ''.join(f'\\{letter}' if letter in r'|\`*_[]<>' else letter for letter in text)


def _side_by_side(pair: NearDuplicate) -> np.ndarray:
    tiles = [fit_tile(read_image(one.path), _TILE_PX) for one in (pair.first, pair.second)]
    sheet = tile_sheet(tiles, columns=2, tile=_TILE_PX)
    mark = 'LEAK ' if pair.is_leak else ''
    return write_caption(
        sheet, f'{mark}{pair.agreement:.2f} {pair.first.name} ({pair.first.part}), {pair.second.name}'
    )
