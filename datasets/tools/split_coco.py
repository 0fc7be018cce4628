"""Split every data set of a root into train.NAME__coco.json and val.NAME__coco.json.

Subjects are never parted; official test parts stay as they are; every category is on both sides where that is
possible. The same files give the same split on any machine. --write-splits keeps the subjects of each part as
NAME.json; --splits follows such files: {"train": [...], "val": [...]}, or "val" alone.

Where images have classes, train.txt, val_classification.txt and test_classification.txt list them by the same parts.

Examples:
    python datasets/tools/split_coco.py data
    python datasets/tools/split_coco.py data --train_percent 0.9 --seed 1 --overwrite
    python datasets/tools/split_coco.py data --splits my_splits
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.cli.corpus import (
    add_overwrite,
    add_split,
    bar,
    guarded,
    parser_of,
    report_skipped,
    report_splits,
    split_options,
)
from ultrasam.corpus.splits import split_corpus


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = parser_of(__doc__)
    parser.add_argument('root', type=Path, nargs='?', default=Path(), metavar='ROOT', help='default: .')
    add_split(parser)
    add_overwrite(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: run(args))


def run(args: argparse.Namespace) -> None:
    """Split, and say how."""
    corpus, splits = split_corpus(args.root, split_options(args), track=bar)
    report_splits(splits)
    report_skipped(corpus)


if __name__ == '__main__':
    sys.exit(main())
