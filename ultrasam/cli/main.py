"""The command ``ultrasam`` and its sub-commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from ultrasam.cli.exit_codes import EXIT_CODES, INTERRUPTED, REFUSED, WRONG_USE
from ultrasam.errors import ConfigError, InputError, PromptError, UltraSamError
from ultrasam.version import __version__

COMMANDS = ('predict', 'info', 'weights', 'browse', 'data')
"""Modules of this package, each with an ``add_parser``; only the one that is asked for is imported."""


def build_parser(commands_wanted: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """Return the parser of some sub-commands."""
    parser = argparse.ArgumentParser(
        prog='ultrasam', description='Promptable segmentation for ultrasound.', epilog=EXIT_CODES
    )
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name in commands_wanted:
        import_module(f'ultrasam.cli.{name}').add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    wanted = arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS
    args = build_parser(wanted).parse_args(arguments)
    try:
        return int(args.run(args))
    except KeyboardInterrupt:
        sys.stderr.write('stopped\n')
        return INTERRUPTED
    except UltraSamError as error:
        sys.stderr.write(f'ultrasam: {error}\n')
        return WRONG_USE if isinstance(error, (ConfigError, InputError, PromptError)) else REFUSED
