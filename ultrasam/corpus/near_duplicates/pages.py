"""The report of a search: JSON, Markdown, and a page of the pairs side by side that opens from disk."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ultrasam.atomic import publish_folder, refuse_existing
from ultrasam.corpus.near_duplicates.listing import Picture
from ultrasam.corpus.near_duplicates.search import NearDuplicate, NearDuplicateReport
from ultrasam.errors import InputError, OutputError
from ultrasam.sheets import fit_tile, tile_sheet

_JSON = 'near_duplicates.json'
_TILE_PX = 240
_JPEG_QUALITY = 85
_LISTED = 50
_STYLE = (
    'body{font:14px/1.45 system-ui,sans-serif;margin:24px;background:#fff;color:#222}'
    '.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(480px,1fr));gap:20px}'
    'figure{margin:0;border:1px solid #ccc;border-left:5px solid #999}figure.leak{border-left-color:#c22}'
    'img{display:block;width:100%;background:#000}figcaption{padding:8px 10px;overflow-wrap:anywhere}'
    'b{color:#c22}'
)


def check_target(target: Path, *, overwrite: bool) -> None:
    """See that a report may be written, before the work begins: no folder with anything else in it is replaced.

    Raises:
        OutputError: the folder holds a report and must not be replaced, or it holds something else.
    """
    if target.is_dir() and any(target.iterdir()) and not (target / _JSON).is_file():
        raise OutputError(f'{target} holds something else: name a folder that is not there, or is empty')
    refuse_existing(target / _JSON, overwrite=overwrite)


def write_pages(
    target: Path, report: NearDuplicateReport, *, shown: int = 400, overwrite: bool = False
) -> Path:
    """Write ``near_duplicates.json`` with all pairs, ``README.md``, ``index.html`` and the thumbnails it shows.

    Args:
        target: folder to write.
        report: of a search.
        shown: at most so many pairs have thumbnails, leaks first.
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
        (folder / _JSON).write_text(
            json.dumps(as_dict(report), indent=1, ensure_ascii=False) + '\n', encoding='utf-8'
        )
        pairs = report.pairs[:shown]
        if pairs:
            (folder / 'pairs').mkdir()
        for number, pair in enumerate(pairs, start=1):
            (folder / _thumbnail(number)).write_bytes(_side_by_side(pair))
        (folder / 'README.md').write_text(overview_text(report), encoding='utf-8')
        (folder / 'index.html').write_text(_page(report, pairs), encoding='utf-8')
    return target


def as_dict(report: NearDuplicateReport) -> dict[str, Any]:
    """A report as JSON values."""
    return {
        'images': report.images,
        'pairs_proposed': report.proposed,
        'pairs_not_followed': report.not_followed,
        'images_alike_in_subject_and_part': report.alike_in_group,
        'images_not_compared': [picture.name for picture in report.blank],
        'leaks': len(report.leaks),
        'pairs': [
            {
                'leak': pair.is_leak,
                'kind': pair.kind,
                'agreement': pair.agreement,
                'bits': pair.bits,
                'mirrored': pair.mirrored,
                'images': [_facts(pair.first), _facts(pair.second)],
            }
            for pair in report.pairs
        ],
    }


def overview_text(report: NearDuplicateReport) -> str:
    """The page in Markdown: counts, which data sets and parts share images, and the first pairs."""
    lines = ['# Near-duplicates', '', *(f'- {line}' for line in summary_lines(report)), '']
    shared = Counter(_between(pair) for pair in report.pairs)
    if shared:
        lines += ['## Between', '', '| one | other | pairs |', '|---|---|---|']
        lines += [f'| {one} | {other} | {count:,} |' for (one, other), count in sorted(shared.items())]
        title = 'Pairs' if len(report.pairs) <= _LISTED else f'The first {_LISTED} pairs'
        lines += ['', f'## {title}', '', '| | one | other | agreement |', '|---|---|---|---|']
        lines += [
            f'| {"leak" if pair.is_leak else ""} | {_cell(pair.first)} | {_cell(pair.second)} | {pair.agreement:.2f} |'
            for pair in report.pairs[:_LISTED]
        ]
        lines += ['', 'All pairs: near_duplicates.json. Side by side: index.html.']
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


def _facts(picture: Picture) -> dict[str, str]:
    return {'file_name': picture.name, 'part': picture.part, 'subject': picture.subject}


def _cell(picture: Picture) -> str:
    return f'{_escaped(picture.name)} ({picture.part})'


def _escaped(text: str) -> str:
    return ''.join(f'\\{letter}' if letter in r'|\`*_[]<>' else letter for letter in text)


def _thumbnail(number: int) -> str:
    return f'pairs/{number:05d}.jpg'


def _side_by_side(pair: NearDuplicate) -> bytes:
    pictures = []
    for picture in (pair.first, pair.second):
        pixels = cv2.imdecode(np.fromfile(picture.path, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise InputError(f'{picture.path}: can no longer be read: run the search again')
        pictures.append(fit_tile(pixels, _TILE_PX))
    sheet = tile_sheet(pictures, columns=2, tile=_TILE_PX)
    _, code = cv2.imencode('.jpg', sheet, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return code.tobytes()


def _page(report: NearDuplicateReport, pairs: Sequence[NearDuplicate]) -> str:
    summary = ''.join(f'<li>{html.escape(line)}</li>' for line in summary_lines(report))
    figures = '\n'.join(_figure(number, pair) for number, pair in enumerate(pairs, start=1))
    missing = len(report.pairs) - len(pairs)
    note = f'<p>{missing:,} more pairs are in near_duplicates.json.</p>' if missing else ''
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Near-duplicates</title><style>{_STYLE}</style>\n'
        f'<h1>Near-duplicates</h1><ul>{summary}</ul>\n<div class="pairs">\n{figures}\n</div>{note}</html>\n'
    )


def _figure(number: int, pair: NearDuplicate) -> str:
    names = ''.join(
        f'<div>{html.escape(picture.name)}<br>{picture.part}, subject {html.escape(picture.subject)}</div>'
        for picture in (pair.first, pair.second)
    )
    mark = '<b>leak</b>, ' if pair.is_leak else ''
    mirror = ', mirrored' if pair.mirrored else ''
    return (
        f'<figure{" class=leak" if pair.is_leak else ""}><img loading="lazy" src="{_thumbnail(number)}" alt="">'
        f'<figcaption>{mark}{pair.kind}, agreement {pair.agreement:.2f}{mirror}{names}</figcaption></figure>'
    )
