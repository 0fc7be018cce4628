"""Find images of a corpus that show the same frame: across data sets, subjects, and train, val and test.

Re-encoded, resized, slightly cropped, brightened and mirrored copies are found by a perceptual hash, and confirmed on
the speckle. Writes ROOT/near_duplicates with README.md, near_duplicates.csv and pages with the pairs side by side.
Hashes are kept in ROOT/.near_duplicates for the next run. Exit code 3 where an image is in two parts.

--drop-from-train lists the images of train (and val) that leak in ROOT/excluded_images.json. Nothing is deleted:
ultrasam data build --overwrite and ultrasam data split --overwrite then leave them out of train and val.

Examples:
    ultrasam data near-duplicates data --jobs 8
    ultrasam data near-duplicates data --drop-from-train --overwrite
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, bar, report_skipped, say
from ultrasam.corpus.errors import EXIT_DATA, EXIT_OK
from ultrasam.corpus.near_duplicates.exclusion import write_excluded
from ultrasam.corpus.near_duplicates.pages import check_target, summary_lines, write_pages
from ultrasam.corpus.near_duplicates.search import find_near_duplicates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets, or of one')
    parser.add_argument('--out', type=Path, metavar='DIR', help='report (default: ROOT/near_duplicates)')
    parser.add_argument('--cache', type=Path, metavar='DIR', help='hashes (default: ROOT/.near_duplicates)')
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='number of processes (default: 1)')
    parser.add_argument('--drop-from-train', action='store_true', help='list what leaks for the next split')
    add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Search, and say what was found."""
    target = args.out or args.root / 'near_duplicates'
    check_target(target, overwrite=args.overwrite)
    report = find_near_duplicates(args.root, jobs=args.jobs, cache=args.cache, track=bar)
    write_pages(target, report, overwrite=args.overwrite)
    for line in summary_lines(report):
        say(line)
    report_skipped(report.corpus)
    if args.drop_from_train:
        path, added = write_excluded(args.root, report.leaks)
        say(
            f'{path}: {added:,} images added: ultrasam data build --overwrite leaves them out of train and val'
        )
    say(f'report: {target / "README.md"}')
    return EXIT_DATA if report.leaks else EXIT_OK
