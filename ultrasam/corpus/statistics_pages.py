"""Pages of a corpus: a table of all data sets with plots, and a card for each in Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ultrasam.atomic import publish_folder
from ultrasam.corpus.layout import PARTS, STATISTICS
from ultrasam.corpus.statistics import UNSPLIT, DatasetStatistics, sum_up
from ultrasam.corpus.statistics_plots import PLOTS, draw
from ultrasam.markdown import markdown_table

_PARTS = (*PARTS, UNSPLIT)


def write_statistics(root: Path, counted: Sequence[DatasetStatistics], *, overwrite: bool = False) -> Path:
    """Write ``statistics/`` below a root: ``statistics.json``, ``README.md``, plots, and ``cards/NAME.md``.

    Args:
        root: folder of all data sets.
        counted: of each data set.
        overwrite: replace the folder.

    Returns:
        The folder.

    Raises:
        OutputError: it is there already, or cannot be written.
    """
    target = root / STATISTICS
    total = sum_up(counted)
    with publish_folder(target, overwrite=overwrite) as folder:
        values = {'all': total.as_dict(), 'datasets': [one.as_dict() for one in counted]}
        _write(folder / 'statistics.json', json.dumps(values, indent=1, ensure_ascii=False) + '\n')
        for name in PLOTS:
            draw(name, counted, total, folder / f'{name}.png')
        (folder / 'cards').mkdir()
        for one in counted:
            _write(folder / 'cards' / f'{one.dataset}.md', card_text(one))
        _write(folder / 'README.md', overview_text(counted, total))
    return target


def overview_text(counted: Sequence[DatasetStatistics], total: DatasetStatistics) -> str:
    """The page of a corpus: a table with one row a data set, and the plots."""
    rows = [_overview_row(one, f'[{_cell(one.dataset)}]({_link(one.dataset)})') for one in counted]
    if len(counted) > 1:
        rows.append(_overview_row(total, '**all**'))
    plots = '\n\n'.join(f'## {title}\n\n![{title}]({name}.png)' for name, title in PLOTS.items())
    head = ('data set', 'organ', 'images', 'train', 'val', 'test', 'masks', 'subjects', 'categories')
    return f'# Corpus\n\n{markdown_table(head, rows)}\n\n{plots}\n'


def card_text(one: DatasetStatistics) -> str:
    """The card of a data set."""
    facts = [
        ('Title', one.about.get('title', '')),
        ('Homepage', one.about.get('homepage', '')),
        ('Licence', one.about.get('licence', '')),
        ('Citation', one.about.get('citation', '')),
        ('Organ', ', '.join(one.about.get('organs', ()))),
        ('Subjects', _subjects(one)),
    ]
    lines = [f'# {one.dataset}', '', *(f'- {name}: {value or "not stated"}' for name, value in facts), '']
    parts = [part for part in _PARTS if one.images[part]]
    rows: list[tuple[str, ...]] = [
        (part, f'{one.images[part]:,}', f'{one.masks[part]:,}', f'{one.subjects[part]:,}') for part in parts
    ]
    lines += [markdown_table(('part', 'images', 'masks', 'subjects'), rows), '']
    rows = [
        (_cell(name), f'{one.categories[name]:,}', f'{one.category_images[name]:,}')
        for name in one.categories
    ]
    lines += [markdown_table(('category', 'masks', 'images that show it'), rows), '']
    values = one.as_dict()
    for side in ('width', 'height'):
        spread = values[side]
        if spread:
            lines.append(
                f'- {side.capitalize()}: {spread["least"]} to {spread["most"]} px, median {spread["median"]} px'
            )
    common = ', '.join(f'{w} x {h} ({count:,})' for w, h, count in values['common_sizes_wh'])
    empty = one.masks_per_image[0]
    lines += [f'- Most common sizes: {common}', f'- Images without a mask: {empty:,}']
    left_out = one.about.get('left_out') or {}
    lines += [f'- Left out when converted: {reason}: {count:,}' for reason, count in left_out.items()]
    return '\n'.join(lines) + '\n'


def _subjects(one: DatasetStatistics) -> str:
    number = f'{one.subjects.total():,}'
    if one.subject_known is None:
        return number
    known = 'patients or recordings' if one.subject_known else 'source files, since no patient is known'
    return f'{number} ({known})'


def _overview_row(one: DatasetStatistics, name: str) -> tuple[str, ...]:
    counts = (one.images.total(), *(one.images[part] for part in PARTS))
    more = (one.masks.total(), one.subjects.total(), len(one.categories))
    organs = ', '.join(one.about.get('organs', ()))
    return (name, organs, *(f'{count:,}' for count in (*counts, *more)))


def _cell(text: str) -> str:
    return re.sub(r'([|\\`*\[\]<>])', r'\\\1', ' '.join(text.split()))


def _link(dataset: str) -> str:
    return f'<cards/{dataset}.md>'


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding='utf-8')
