"""Simulate an annotated ultrasound dataset from a seed; with --lesions one for classification.

--lesions diagnosis: benign- and malignant-like lesions, which differ by margin, texture and what lies behind them.
--lesions kinds: six kinds of cysts and masses. A list of the classes of the frames, image_classes.txt, is written too.

Examples:
    python tools/simulate.py --out work_dirs/phantoms --frames 1000 --seed 7
    python tools/simulate.py --out work_dirs/large --frames 200 --seed 8 --size 480 960 --jobs 4
    python tools/simulate.py --out work_dirs/diagnosis --frames 600 --seed 9 --lesions diagnosis
    python tools/simulate.py --out work_dirs/kinds --frames 600 --seed 9 --lesions kinds --most-lesions 3
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from ultrasam.errors import UltraSamError
from ultrasam.simulation import LESION_SETS, write_coco_dataset


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='new folder for images/ and annotations.json')
    parser.add_argument('--frames', type=int, required=True, help='number of frames')
    parser.add_argument('--seed', type=int, required=True, help='seed of the dataset, 0 or more')
    parser.add_argument(
        '--size',
        type=int,
        nargs='+',
        default=[256],
        metavar='PX',
        help='long side in pixels, or the smallest and the largest to draw from (default: 256)',
    )
    parser.add_argument(
        '--lesions',
        choices=tuple(LESION_SETS),
        help='show lesions of these classes, and annotate nothing else',
    )
    parser.add_argument(
        '--most-lesions', type=int, default=1, help='lesions of a frame at most, with --lesions (default: 1)'
    )
    parser.add_argument('--jobs', type=int, default=2, help='number of processes (default: 2)')
    options = parser.parse_args(arguments)
    if len(options.size) > 2:
        parser.error('--size takes one or two numbers')
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    options = parse_arguments(arguments)
    with tqdm(total=options.frames, unit='frame') as bar:
        try:
            path = write_coco_dataset(
                options.out,
                options.frames,
                options.seed,
                size=(options.size[0], options.size[-1]),
                lesions=options.lesions,
                most_lesions=options.most_lesions,
                jobs=options.jobs,
                progress=lambda done, _: bar.update(done - bar.n),
            )
        except UltraSamError as error:
            bar.disable = True
            sys.stderr.write(f'{error}\n')
            return 1
    sys.stdout.write(f'{options.frames} frames: {path}\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
