"""``ultrasam data``: datasets from their sites to files for training. One module for each action."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

ACTIONS = {
    'list': 'datasets that are described here',
    'fetch': 'download the files of datasets, after their terms',
    'plan': 'show what a description makes of a release, converting nothing',
    'new': 'begin the description of a dataset of your own',
    'convert': 'convert releases to COCO files',
    'build': 'split, class-agnostic files and merged files in one go',
    'split': 'split by subject into train and val',
    'agnostic': 'write files in which every structure is of one category',
    'merge': 'merge the class-agnostic files of all datasets',
    'join': 'join the COCO files of patients or procedures',
    'clean-pool': 'leave out what public benchmarks test with',
    'verify': 'check a corpus',
    'near-duplicates': 'find images that show the same frame',
    'statistics': 'count a corpus',
}
"""Actions and what they do; the module of each is imported when it is asked for."""
_EXAMPLES = """
a corpus from the beginning:
  ultrasam data list
  ultrasam data fetch busi bus_bra
  ultrasam data convert all downloads data
  ultrasam data build data
  ultrasam data verify data

a dataset of your own:
  ultrasam data new my_liver
  ultrasam data plan my_liver.py downloads/my_liver
  ultrasam data convert my_liver.py downloads/my_liver data
"""


class _ActionParser(argparse.ArgumentParser):
    """Loads the module of an action when its arguments are read, so that the others cost nothing.

    Args:
        action: Name of the action.
        options: Those of every parser.
    """

    def __init__(self, *, action: str, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        self._action: str | None = action

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read arguments, once the module has said which there are."""
        if self._action is not None:
            complete(self, self._action, f'ultrasam data {self._action}')
            self._action = None
        return super().parse_known_args(args, namespace)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command, with one of its own for each action."""
    parser = commands.add_parser(
        'data',
        help='download, convert, split, merge and check datasets',
        description='Datasets from their sites to files for training.',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar='ACTION', parser_class=_ActionParser)
    for name, text in ACTIONS.items():
        actions.add_parser(name, help=text, action=name)


def script(action: str, file: str) -> Callable[[Sequence[str] | None], int]:
    """Return the main function of a script that runs an action under another name.

    Args:
        action: Name of the action.
        file: The script, in the folder ``datasets/tools`` of a checkout.
    """
    path = Path(file)

    def main(arguments: Sequence[str] | None = None) -> int:
        parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter)
        complete(parser, action, f'python datasets/{path.parent.name}/{path.name}')
        args = parser.parse_args(arguments)
        return int(args.run(args))

    return main


def complete(parser: argparse.ArgumentParser, action: str, program: str) -> None:
    """Give a parser the arguments and the help of an action.

    Args:
        parser: The parser.
        action: Name of the action.
        program: How the user calls it, for the examples.
    """
    from ultrasam.cli.guard import CODES, guarded

    module = import_module(f'{__name__}.{action.replace("-", "_")}')
    parser.description = (module.__doc__ or '').replace(f'ultrasam data {action} ', f'{program} ')
    parser.epilog = getattr(module, 'CODES', CODES)
    module.add_arguments(parser)
    parser.set_defaults(run=lambda args: guarded(lambda: module.run(args)))
