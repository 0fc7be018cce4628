"""Merge MODE.agnostic.NAME__coco.json of all data sets into one file, without small objects.

File names become relative to ROOT (NAME/images/...). Which objects are small is this project's own rule; the one
behind the published files is not known. --held-out leaves out every data set that shows the organ of another.

Examples:
    ultrasam data merge data data/train.agnostic.noSmall.coco.json --mode train
    ultrasam data merge data data/train.agnostic.coco.json --min-pixels 0 --min-model-pixels 0
    ultrasam data merge data data/train.noStructure.BUSBRA.json --held-out BUSBRA
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, add_rule, bar, report_merge, rule_of, say
from ultrasam.corpus.held_out import write_held_out
from ultrasam.corpus.layout import PARTS
from ultrasam.corpus.merge import merge_agnostic
from ultrasam.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets')
    parser.add_argument('out', type=Path, metavar='OUT', help='file to write')
    parser.add_argument('--mode', choices=PARTS, default='train', help='default: train')
    parser.add_argument('--held-out', metavar='NAME', help='data set whose organ train and val must not show')
    add_rule(parser)
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Merge, and say what was merged."""
    if args.held_out and args.mode == 'test':
        raise ConfigError('--held-out is for --mode train and val')
    options = {'rule': rule_of(args), 'overwrite': args.overwrite, 'track': bar}
    if args.held_out:
        report = write_held_out(args.root, args.held_out, args.out, part=args.mode, **options)
    else:
        report = merge_agnostic(args.root, args.out, args.mode, **options)
    report_merge(report)
    for text in report.skipped:
        say(f'skipped: {text}')
