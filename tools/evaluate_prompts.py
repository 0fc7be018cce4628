"""Dice of a checkpoint under simulated users, without a config; tools/evaluate.py has more and writes a report.

Examples:
  python tools/evaluate_prompts.py sample_dataset/annotations.json sample_dataset/images
  python tools/evaluate_prompts.py data/simulated/test/annotations.json data/simulated/test/images --out dice.json
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ultrasam.atomic import publish_json, refuse_existing
from ultrasam.errors import UltraSamError
from ultrasam.evaluation.evaluate import EvaluationOptions, evaluate_files
from ultrasam.evaluation.report import dice_table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('annotations', type=Path, help='COCO file with masks')
    parser.add_argument('images', type=Path, help='folder of the images')
    parser.add_argument(
        '--checkpoint', type=Path, help='weights (default: the small demonstration that ships)'
    )
    parser.add_argument('--clicks', type=int, default=8, help='most corrective clicks (default: 8)')
    parser.add_argument('--device', help='cpu, cuda, mps (default: the best there is)')
    parser.add_argument('--out', type=Path, help='write all results as JSON')
    parser.add_argument('--overwrite', action='store_true', help='replace that file')
    return parser.parse_args()


def main() -> None:
    """Evaluate and print a table."""
    args = parse_args()
    try:
        if args.out is not None:
            refuse_existing(args.out, overwrite=args.overwrite)
        options = EvaluationOptions(clicks=args.clicks, device=args.device)
        track = partial(tqdm, unit='frame')
        results = evaluate_files(args.annotations, args.images, args.checkpoint, options, track=track)
        if args.out is not None:
            publish_json(args.out, results.as_dict(), overwrite=args.overwrite)
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    counts = results.counts
    sys.stdout.write(f'{counts["images"]} frames, {counts["objects"]} objects\n\n{dice_table(results)}\n')


if __name__ == '__main__':
    main()
