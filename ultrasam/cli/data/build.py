"""Make one corpus of converted data sets: split, class-agnostic views, merged files, files without an organ.

Where images have classes, train.txt, val_classification.txt and test_classification.txt list them by the same parts.
At the root it writes train, val and test.agnostic.noSmall.coco.json, and for tests on structures never seen
train and val .noStructure.BUSBRA.json, .MMOTU_2d.json and .GIST514-DB.json, each of which lists what it leaves out.

Examples:
    ultrasam data build data
    ultrasam data build data --drop-tested --write-splits my_splits
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli import corpus as shared
from ultrasam.corpus.build import build_corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets')
    shared.add_split(parser)
    shared.add_rule(parser)
    shared.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Build, and say what was made."""
    report = build_corpus(args.root, shared.split_options(args), rule=shared.rule_of(args), track=shared.bar)
    shared.report_splits(report.splits)
    shared.say(f'{len(report.views)} class-agnostic files beside the others')
    for one in report.merged:
        shared.report_merge(one)
    for text in report.not_made:
        shared.say(f'not made: {text}')
    shared.report_skipped(report.corpus)
