r"""Write an UltraSam checkpoint in a form that other software reads; the same as `ultrasam weights export`."""

from __future__ import annotations

import argparse

from ultrasam.cli.weights import EXAMPLES, EXPORT_HELP, add_export_arguments, run_export
from ultrasam.errors import UltraSamError


def main() -> None:
    """Export, then say what was written."""
    parser = argparse.ArgumentParser(
        description=EXPORT_HELP,
        epilog=EXAMPLES.format(program='python weights/export.py'),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_export_arguments(parser, default=None)
    args = parser.parse_args()
    try:
        run_export(args)
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error


if __name__ == '__main__':
    main()
