"""Check a corpus: files, image sizes, ids, masks, categories, and that no subject or image is in two parts.

Lists for classifiers are checked, too: their images and classes, and that their parts are those of the COCO files.

Where something is wrong it ends with exit code 3, or 4 where names or links leave the corpus, and says how many
faults of each kind there are, and the first of them.

Examples:
    ultrasam data verify data
    ultrasam data verify data/BUSI --pixels
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import bar, report_skipped, say
from ultrasam.corpus.errors import EXIT_DATA, EXIT_OK, EXIT_REFUSED
from ultrasam.corpus.verify import verify_corpus


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets, or of one')
    parser.add_argument('--pixels', action='store_true', help='decode every image and compare its SHA-256')


def run(args: argparse.Namespace) -> int:
    """Check, and say what was found."""
    report = verify_corpus(args.root, pixels=args.pixels, track=bar)
    for kind, count in sorted(report.faults.items()):
        say(f'{count:,} {kind}')
        for example in report.examples[kind]:
            say(f'  {example}')
    for note in report.notes:
        say(f'note: {note}')
    report_skipped(report.corpus)
    looked = ', '.join(f'{count:,} {what}' for what, count in report.counts.items())
    verdict = f'{report.faults.total():,} faults' if report.faults else 'all well'
    say(f'{len(report.corpus.datasets)} data sets, {looked}: {verdict}')
    if report.is_unsafe:
        return EXIT_REFUSED
    return EXIT_DATA if report.faults else EXIT_OK
