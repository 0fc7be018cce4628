"""The command ``ultrasam`` and its sub-commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ultrasam import __version__
from ultrasam.cli import browse, info, predict
from ultrasam.errors import UltraSamError

# exit codes: 0 done, 2 wrong use, 3 some inputs could not be done, 4 refused
REFUSED = 4


def build_parser() -> argparse.ArgumentParser:
    """The parser of all sub-commands."""
    parser = argparse.ArgumentParser(prog='ultrasam', description='Promptable segmentation for ultrasound.')
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    predict.add_parser(commands)
    info.add_parser(commands)
    browse.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command."""
    args = build_parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except UltraSamError as error:
        sys.stderr.write(f'ultrasam: {error}\n')
        return REFUSED
