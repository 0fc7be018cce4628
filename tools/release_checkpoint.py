r"""Write the weights of a training checkpoint as a small file to hand on, with what it says about itself.

Examples:
  python tools/release_checkpoint.py work_dirs/nano/iter_2000.pth weights/ultrasam_nano_256.pth \\
      --note licence=Apache-2.0 trained_on="simulated frames"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.checkpoints.release import write_release
from ultrasam.errors import UltraSamError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a training run')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument('--name', help='name of the weights (default: that of the file to write)')
    parser.add_argument(
        '--note', nargs='*', default=[], metavar='KEY=TEXT', help='what to say about the weights'
    )
    parser.add_argument('--full', action='store_true', help='keep float32 (default: float16)')
    parser.add_argument('--overwrite', action='store_true', help='replace a file that is there')
    return parser.parse_args()


def main() -> None:
    """Strip, note, write."""
    args = parse_args()
    note = dict(item.split('=', 1) for item in args.note)
    try:
        parameters = write_release(
            args.checkpoint,
            args.out,
            note={'name': args.name or args.out.stem, **note},
            half=not args.full,
            overwrite=args.overwrite,
        )
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    sys.stdout.write(f'{args.out}: {parameters:,} values, {args.out.stat().st_size / 1e6:.1f} MB\n')


if __name__ == '__main__':
    main()
