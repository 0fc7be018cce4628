"""Count a corpus: images, masks, subjects, categories, sizes and shapes, as JSON, Markdown and plots.

Writes ROOT/statistics with README.md, statistics.json, plots, and a card of each data set.

Examples:
    ultrasam data statistics data
    ultrasam data statistics data --overwrite
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, bar, say
from ultrasam.corpus.statistics import count_corpus, sum_up
from ultrasam.corpus.statistics_pages import write_statistics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets, or of one')
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Count, and say where the pages are."""
    counted, skipped = count_corpus(args.root, track=bar)
    folder = write_statistics(args.root, counted, overwrite=args.overwrite)
    total = sum_up(counted)
    say(
        f'{len(counted)} data sets, {total.images.total():,} images, {total.masks.total():,} masks, '
        f'{total.subjects.total():,} subjects: {folder / "README.md"}'
    )
    for text in skipped:
        say(f'skipped: {text}')
