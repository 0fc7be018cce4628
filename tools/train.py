"""Train a model from a config.

Examples:
  python tools/train.py configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine.py
  python tools/train.py CONFIG --work-dir work_dirs/mine --amp --cfg-options train_dataloader.batch_size=4
  python tools/train.py CONFIG --resume
  tools/dist_train.sh CONFIG 4
"""

from __future__ import annotations

import argparse
import sys

from ultrasam.cli.run_options import add_run_options, apply_run_options
from ultrasam.errors import OutputError, TrainingError, UltraSamError
from ultrasam.openmmlab.launch import load_run_config, scale_learning_rate, use_mixed_precision
from ultrasam.openmmlab.runner import build_runner

EXIT_OUTPUT, EXIT_TRAINING = 5, 6


def parse_args() -> argparse.Namespace:
    """Read the command line; the options are those of mmdet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_run_options(parser)
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision: bfloat16, or float16 on a GPU without it',
    )
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size'
    )
    parser.add_argument(
        '--resume', nargs='?', const='auto', help='go on from a checkpoint (default: the last)'
    )
    return parser.parse_args()


def main() -> None:
    """Build the runner and train."""
    args = parse_args()
    try:
        apply_run_options(args)
        cfg = load_run_config(
            args.config, launcher=args.launcher, work_dir=args.work_dir, cfg_options=args.cfg_options
        )
        if args.amp:
            use_mixed_precision(cfg)
        if args.auto_scale_lr:
            scale_learning_rate(cfg)
        if args.resume is not None:
            cfg.resume = True
            cfg.load_from = None if args.resume == 'auto' else args.resume
        runner = build_runner(cfg)
        runner.train()
    except UltraSamError as error:
        sys.stderr.write(f'{type(error).__name__}: {error}\n')
        codes = {OutputError: EXIT_OUTPUT, TrainingError: EXIT_TRAINING}
        raise SystemExit(codes.get(type(error), 1)) from error


if __name__ == '__main__':
    main()
