"""Dice of a checkpoint under simulated users: points, boxes, corrective clicks, sloppy boxes.

Examples:
  python tools/evaluate_prompts.py sample_dataset/annotations.json sample_dataset/images
  python tools/evaluate_prompts.py data/simulated/test/annotations.json data/simulated/test/images --out dice.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ultrasam.errors import UltraSamError
from ultrasam.evaluation import prompted
from ultrasam.inference import UltraSamInferencer

CLICKS = 8
JITTERS = (0.0, 0.05, 0.1, 0.15)


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
    parser.add_argument('--device', help='cpu, cuda, mps (default: the best there is)')
    parser.add_argument('--out', type=Path, help='write the figures as JSON')
    return parser.parse_args()


def summary(values: list[float]) -> dict[str, float]:
    """Mean and worst decile of Dice."""
    return {
        'mean': round(float(np.mean(values)), 4),
        'worst_decile': round(float(np.percentile(values, 10)), 4),
    }


def evaluate(inferencer: UltraSamInferencer, args: argparse.Namespace) -> dict:
    """All figures of one data set."""
    frames = list(tqdm(prompted.encoded_frames(inferencer, args.annotations, args.images), unit='frame'))
    figures: dict = {'ellipse in the box': summary(prompted.dice_of_ellipse(frames))}
    for name, rule in prompted.RULES.items():
        figures[name] = summary(prompted.dice_of_rule(inferencer, frames, rule))
    for name in ('point', 'box'):
        other = prompted.dice_of_rule(inferencer, prompted.swapped(frames), prompted.RULES[name])
        figures[f'{name}, embedding of another frame'] = summary(other)
    curve = prompted.dice_per_click(inferencer, frames, CLICKS)
    figures |= {f'{i + 1} clicks': summary(curve[:, i].tolist()) for i in range(CLICKS)}
    for share in JITTERS:
        rule = prompted.box_rule(share)
        figures[f'box, jitter {share:.0%}'] = summary(prompted.dice_of_rule(inferencer, frames, rule))
    return {'frames': len(frames), 'objects': len(curve), 'dice': figures}


def main() -> None:
    """Evaluate and print a table."""
    args = parse_args()
    try:
        result = evaluate(UltraSamInferencer(args.checkpoint, device=args.device), args)
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    sys.stdout.write(
        f'{result["frames"]} frames, {result["objects"]} objects\n\n| prompt | Dice | worst decile |\n'
    )
    sys.stdout.write('|---|---|---|\n')
    for name, value in result['dice'].items():
        sys.stdout.write(f'| {name} | {value["mean"]:.3f} | {value["worst_decile"]:.3f} |\n')
    if args.out is not None:
        args.out.write_text(json.dumps(result, indent=1), encoding='utf-8')


if __name__ == '__main__':
    main()
