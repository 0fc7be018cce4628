"""Join the COCO files of patients or procedures, NAME__*__coco.json, into NAME__coco.json.

FOLDER is an annotations folder, the folder of a data set, or one of many (default: the current folder). Files of
later steps are passed over, so that a second run changes nothing. Descriptions in us43d/ write one file already.

Examples:
    ultrasam data join data/CAMUS/annotations
    ultrasam data join data
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, bar, say
from ultrasam.corpus.join_parts import join_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('folder', type=Path, nargs='?', default=Path(), metavar='FOLDER')
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Join, and say what was joined."""
    for one in join_folder(args.folder, overwrite=args.overwrite, track=bar):
        if not one.joined:
            say(f'{one.dataset}: nothing to join, {one.path.name} is there')
            continue
        say(f'{one.path}: {one.images:,} images, {one.annotations:,} annotations of {len(one.joined)} files')
        for note in one.notes:
            say(f'  mended: {note}')
        if one.passed_over:
            say(f'  passed over: {", ".join(one.passed_over)}')
