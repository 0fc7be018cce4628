"""Write train and val.clean.agnostic.noSmall.coco.json: the merged files without what public benchmarks test with.

Official test parts are never in the merged files; here the images that show one of their subjects leave as well, and
those that are the same in another data set. AUL and BUSI have no official test part: they leave as a whole, unless
LISTS/AUL.json or LISTS/BUSI.json names the images that are tested with, as a list of subjects, source files or records
with an "image". Run ultrasam data build before.

Examples:
    ultrasam data clean-pool data
    ultrasam data clean-pool data --test-lists my_lists
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli import corpus as shared
from ultrasam.corpus.clean_pool import write_clean_pool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets')
    parser.add_argument('--test-lists', type=Path, metavar='LISTS', help='folder of lists NAME.json')
    shared.add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Write both files, and say what left."""
    for part in ('train', 'val'):
        pool = write_clean_pool(
            args.root, part, lists=args.test_lists, overwrite=args.overwrite, track=shared.bar
        )
        shared.say(f'{pool.path}: {pool.images} images, {pool.annotations} objects')
        for name, reason in pool.left_out.items():
            shared.say(f'  left out: {name}: {reason}')
        for name, counts in sorted(pool.dropped.items()):
            words = ', '.join(f'{count} {reason}' for reason, count in sorted(counts.items()))
            shared.say(f'  dropped of {name}: {words}')
