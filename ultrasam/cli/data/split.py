"""Split every data set of a root into train.NAME__coco.json and val.NAME__coco.json.

Subjects are never parted; official test parts stay as they are; every category is on both sides where that is
possible. The same files give the same split on any machine. --write-splits keeps the subjects of each part as
NAME.json; --splits follows such files: {"train": [...], "val": [...]}, or "val" alone.

Where images have classes, train.txt, val_classification.txt and test_classification.txt list them by the same parts.

Examples:
    ultrasam data split data
    ultrasam data split data --train_percent 0.9 --seed 1 --overwrite
    ultrasam data split data --splits my_splits
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import (
    add_overwrite,
    add_split,
    bar,
    report_skipped,
    report_splits,
    split_options,
)
from ultrasam.corpus.splits import split_corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, nargs='?', default=Path(), metavar='ROOT', help='default: .')
    add_split(parser)
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Split, and say how."""
    corpus, splits = split_corpus(args.root, split_options(args), track=bar)
    report_splits(splits)
    report_skipped(corpus)
