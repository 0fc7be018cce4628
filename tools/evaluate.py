"""Evaluate a checkpoint: published mAP, clicks, boxes, corrections, calibration; as JSON, Markdown and plots.

Each image is encoded once and prompted in every way. Means have intervals over subjects. Writes OUT/results.json,
OUT/README.md and plots.

Examples:
  python tools/evaluate.py configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine.py UltraSam.pth --out results/mmotu
  python tools/evaluate.py CONFIG CHECKPOINT --data-root sample_dataset --ann-file annotations.json --img-prefix images
  python tools/evaluate.py CONFIG CHECKPOINT --protocol published centre box --spacing 0.12 0.10
  python tools/evaluate.py CONFIG NEW.pth --out results/new --compare results/old/results.json
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ultrasam.checkpoints.trust import trust_pickles
from ultrasam.cli.run_options import add_trust_option
from ultrasam.errors import UltraSamError
from ultrasam.evaluation.evaluate import DataPlaces, EvaluationOptions
from ultrasam.evaluation.metrics import Tolerances
from ultrasam.evaluation.report import PAGE, protocol_table
from ultrasam.openmmlab.evaluation import evaluate_into


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file with a test set; the suffix .py may be left out')
    parser.add_argument('checkpoint', type=Path, help='weights that fit its model')
    parser.add_argument('--protocol', nargs='+', metavar='NAME', help='default: all; a wrong name lists them')
    parser.add_argument('--data-root', type=Path, help='folder of the test set')
    parser.add_argument('--ann-file', type=Path, help='COCO file, from the data root if that is given')
    parser.add_argument('--img-prefix', type=Path, help='folder of the images, likewise')
    parser.add_argument('--limit', type=int, metavar='N', help='the first N images only')
    parser.add_argument('--spacing', type=float, nargs='+', metavar='MM', help='between rows and columns')
    parser.add_argument(
        '--tolerance-px', type=float, default=2.0, help='of the surface distance NSD (default: 2)'
    )
    parser.add_argument(
        '--tolerance-mm', type=float, default=1.0, help='the same in millimetres (default: 1)'
    )
    parser.add_argument('--clicks', type=int, default=20, help='most corrective clicks (default: 20)')
    parser.add_argument(
        '--mask-upsampling', choices=['logits', 'binary'], default='logits', help='default: logits'
    )
    parser.add_argument('--seed', type=int, default=0, help='of random prompts and of intervals (default: 0)')
    parser.add_argument('--samples', type=int, default=2000, help='draws for the intervals (default: 2000)')
    parser.add_argument('--device', help='cpu, cuda, mps (default: the best there is)')
    parser.add_argument(
        '--precision', choices=['fp32', 'bf16'], default='fp32', help='of the model (default: fp32)'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('evaluation'), help='folder to make (default: evaluation)'
    )
    parser.add_argument(
        '--compare', type=Path, metavar='JSON', help='results.json of another evaluation of these data'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the folder')
    add_trust_option(parser)
    return parser.parse_args()


def main() -> None:
    """Evaluate, write the report, and show the main table."""
    args = parse_args()
    try:
        trust_pickles(args.trust_pickle)
        options = EvaluationOptions(
            protocols=tuple(args.protocol or ()),
            data=DataPlaces(
                data_root=args.data_root, ann_file=args.ann_file, img_prefix=args.img_prefix, limit=args.limit
            ),
            spacing_mm=args.spacing,
            tolerances=Tolerances(pixels=args.tolerance_px, mm=args.tolerance_mm),
            clicks=args.clicks,
            seed=args.seed,
            samples=args.samples,
            mask_upsampling=args.mask_upsampling,
            device=args.device,
            precision=args.precision,
        )
        results = evaluate_into(
            args.out,
            args.config,
            args.checkpoint,
            options,
            compared=args.compare,
            overwrite=args.overwrite,
            track=partial(tqdm, unit='frame'),
        )
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    sys.stdout.write(f'{protocol_table(results)}\n\n{args.out / PAGE}\n')


if __name__ == '__main__':
    main()
