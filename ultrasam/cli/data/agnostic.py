"""Write MODE.agnostic.NAME__coco.json beside MODE.NAME__coco.json: every structure is of the one category object.

Examples:
    ultrasam data agnostic data --mode train
    ultrasam data agnostic data/BUSBRA --mode test
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, bar, report_skipped, say
from ultrasam.corpus.agnostic import write_agnostic
from ultrasam.corpus.layout import PARTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets, or of one')
    parser.add_argument('--mode', choices=PARTS, default='train', help='default: train')
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Write, and say what was written."""
    corpus, views = write_agnostic(args.root, args.mode, overwrite=args.overwrite, track=bar)
    for one in views:
        say(f'{one.path}: {one.images:,} images, {one.annotations:,} objects')
    without = {folder.name for folder in corpus.datasets} - {one.dataset for one in views}
    if without:
        say(f'without a {args.mode} part: {", ".join(sorted(without))}')
    report_skipped(corpus)
