"""Show what a description makes of a release: what matched, what is unused, and samples with their masks drawn.

Nothing is converted. Archives are unpacked into a temporary folder, which goes away. The samples are drawn on one
sheet, SHORT_NAME.plan.png in the current folder: look at it before you convert.

Examples:
    ultrasam data plan busi downloads
    ultrasam data plan my_liver.py downloads/my_liver
    ultrasam data plan my_liver.py downloads/my_liver.zip --samples 12 --sheet liver.png
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from ultrasam.cli.convert import source_of
from ultrasam.cli.corpus import say
from ultrasam.corpus.errors import EXIT_DATA, EXIT_OK
from ultrasam.corpus.library import find_description, known_descriptions
from ultrasam.corpus.loading import load_spec

_SHOWN = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        'name', metavar='NAME', help="short name, as 'list' shows it, or a description, NAME.py"
    )
    parser.add_argument(
        'source', type=Path, metavar='SOURCE', help='archive or folder of the release, or folder of many'
    )
    parser.add_argument(
        '--samples', type=int, default=5, metavar='N', help='how many to draw (default: %(default)s)'
    )
    parser.add_argument(
        '--sheet', type=Path, metavar='FILE', help='PNG file to write (default: SHORT_NAME.plan.png)'
    )


def run(args: argparse.Namespace) -> int:
    """Plan, and say what would be done."""
    from ultrasam.corpus.preview import preview

    path = find_description(args.name, known_descriptions())
    spec = load_spec(path)
    sheet = args.sheet or Path(f'{path.stem}.plan.png')
    shown = preview(path, source_of(path.stem, spec, args.source), sheet, samples=args.samples)
    for line in shown.matched:
        say(line)
    for reason, count in sorted(shown.left_out.items()):
        say(f'left out: {reason}: {count:,}')
    _some('unused', shown.unused)
    _some('cannot be used', map(str, shown.faults))
    for line in shown.samples:
        say(f'sample: {line}')
    if shown.sheet is not None:
        say(f'sheet: {shown.sheet}')
    if shown.faults:
        say(
            'nothing would be written before these are mended, left out or skipped: see `ultrasam data convert --help`'
        )
    else:
        say(f'next: ultrasam data convert {args.name} {args.source} data')
    return EXIT_DATA if shown.faults else EXIT_OK


def _some(title: str, lines: Iterable[str]) -> None:
    """Name the first of many."""
    every = list(lines)
    for line in every[:_SHOWN]:
        say(f'{title}: {line}')
    if len(every) > _SHOWN:
        say(f'{title}: {len(every) - _SHOWN:,} more')
