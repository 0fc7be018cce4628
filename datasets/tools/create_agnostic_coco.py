"""Write MODE.agnostic.NAME__coco.json beside MODE.NAME__coco.json: every structure is of the one category object.

Examples:
    python datasets/tools/create_agnostic_coco.py data --mode train
    python datasets/tools/create_agnostic_coco.py data/BUSBRA --mode test
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, bar, guarded, parser_of, report_skipped, say
from ultrasam.corpus.agnostic import write_agnostic
from ultrasam.corpus.layout import PARTS


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = parser_of(__doc__)
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets, or of one')
    parser.add_argument('--mode', choices=PARTS, default='train', help='default: train')
    add_overwrite(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Write, and say what was written."""
    corpus, views = write_agnostic(args.root, args.mode, overwrite=args.overwrite, track=bar)
    for one in views:
        say(f'{one.path}: {one.images:,} images, {one.annotations:,} objects')
    without = {folder.name for folder in corpus.datasets} - {one.dataset for one in views}
    if without:
        say(f'without a {args.mode} part: {", ".join(sorted(without))}')
    report_skipped(corpus)


if __name__ == '__main__':
    sys.exit(main())
