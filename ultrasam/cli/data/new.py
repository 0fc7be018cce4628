"""Begin the description of a dataset: NAME.py with comments, and test_NAME.py, which passes as it is.

Edit the description until `ultrasam data plan` shows what the release holds, and the test until it makes files of the
same layout. docs/add_a_dataset.md goes through it in six steps.

Examples:
    ultrasam data new my_liver
    ultrasam data new my_liver --out descriptions
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument('name', metavar='NAME', help='short name: letters, digits and underscores')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(),
        metavar='DIR',
        help='folder to write to (default: the current one)',
    )
    add_overwrite(parser)


def run(args: argparse.Namespace) -> None:
    """Write both, and say how to go on."""
    from ultrasam.corpus.template import write_template

    description, test = write_template(args.name, args.out, overwrite=args.overwrite)
    say(f'{description}: edit it, then: ultrasam data plan {description} SOURCE')
    say(f'{test}: edit it as well, then: python -m pytest {test}')
