"""Show runs of downstream tasks as the paper lays out its tables 2 (segmentation) and 3 (classification).

Figures of the test part come from tools/test.py or `mim test`, those of the validation part from training. Runs that
differ in their seed alone are averaged. Runs that are unfinished, untested or of another task are named.

Examples:
  python tools/downstream_table.py work_dirs
  python tools/downstream_table.py work_dirs/busbra_* --part val --json table.json
  python tools/downstream_table.py work_dirs --markdown table.md --csv table.csv --overwrite
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.atomic import publish_bytes, publish_json, refuse_existing
from ultrasam.errors import UltraSamError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', type=Path, nargs='+', metavar='RUN', help='work dir, or folder of such')
    parser.add_argument('--part', choices=('test', 'val'), default='test', help='of the data (default: test)')
    parser.add_argument('--markdown', type=Path, help='write what is printed to this file')
    parser.add_argument('--csv', type=Path, help='write the figures to this file, one a line')
    parser.add_argument('--json', type=Path, help='write figures and notes to this file')
    parser.add_argument('--overwrite', action='store_true', help='replace these files')
    return parser.parse_args()


def main() -> None:
    """Read the runs, and show and write the tables."""
    args = parse_args()
    from ultrasam.openmmlab.downstream.runs import read_runs
    from ultrasam.openmmlab.downstream.table import as_csv, as_json, as_markdown, tabulate

    try:
        for path in filter(None, (args.markdown, args.csv, args.json)):
            refuse_existing(path, overwrite=args.overwrite)
        report = tabulate(read_runs(args.runs), part=args.part)
        text = as_markdown(report)
        if args.markdown is not None:
            publish_bytes(args.markdown, text.encode(), overwrite=args.overwrite)
        if args.csv is not None:
            publish_bytes(args.csv, as_csv(report).encode(), overwrite=args.overwrite)
        if args.json is not None:
            publish_json(args.json, as_json(report), overwrite=args.overwrite)
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    sys.stdout.write(text)


if __name__ == '__main__':
    main()
