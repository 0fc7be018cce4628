"""Write lists for classifiers and regressors from COCO files, such as those of tools/simulate.py.

FOLDER/structures.txt tells which categories each image shows (several classes an image), FOLDER/circumference.txt how
long the outline of the one structure of a category is, where it is an ellipse, in pixels of the image file.

Examples:
  python tools/label_lists.py data/simulated/train data/simulated/val data/simulated/test
  python tools/label_lists.py data/simulated/train --lists circumference --category head --overwrite
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.corpus.classification.structure_lists import (
    WrittenList,
    write_circumference_list,
    write_structure_list,
)
from ultrasam.errors import UltraSamError

LISTS = ('structures', 'circumference')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'folders', type=Path, nargs='+', metavar='FOLDER', help='with images/ and annotations.json'
    )
    parser.add_argument('--lists', nargs='+', choices=LISTS, default=LISTS, help='which (default: both)')
    parser.add_argument('--category', default='head', help='what is measured (default: head)')
    parser.add_argument('--overwrite', action='store_true', help='replace lists')
    return parser.parse_args()


def write(folder: Path, kind: str, args: argparse.Namespace) -> WrittenList:
    """Write one list of a folder."""
    source, target = folder / 'annotations.json', folder / f'{kind}.txt'
    if kind == 'structures':
        return write_structure_list(source, target, overwrite=args.overwrite)
    return write_circumference_list(source, target, args.category, overwrite=args.overwrite)


def main() -> None:
    """Write the lists, and say what is in them."""
    args = parse_args()
    try:
        for folder in args.folders:
            for kind in args.lists:
                made = write(folder, kind, args)
                counts = ''.join(f', {count} {name}' for name, count in made.counts.items())
                sys.stdout.write(f'{made.path}: {made.images} images, {made.left_out} left out{counts}\n')
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error


if __name__ == '__main__':
    main()
