"""Test a checkpoint with a config: metrics to the log, predictions and pictures where asked.

Examples:
  python tools/test.py configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine.py UltraSam.pth
  python tools/test.py CONFIG CHECKPOINT --show-dir pictures --out predictions.pkl
  mim test ultrasam UltraSAM_box_refine --checkpoint UltraSam.pth
"""

from __future__ import annotations

import argparse

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults

from ultrasam.cli.run_options import add_run_options, apply_run_options
from ultrasam.errors import UltraSamError
from ultrasam.openmmlab.launch import load_run_config
from ultrasam.openmmlab.runner import build_runner


def parse_args() -> argparse.Namespace:
    """Read the command line; the options are those of mmdet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_run_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='write the predictions to this .pkl file')
    parser.add_argument('--show', action='store_true', help='show each picture')
    parser.add_argument('--show-dir', help='write each picture to WORK_DIR/TIME/SHOW_DIR')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a picture is shown (default: 2)')
    args = parser.parse_args()
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out {args.out}: the name must end in .pkl')
    return args


def main() -> None:
    """Build the runner and test."""
    args = parse_args()
    try:
        apply_run_options(args)
        cfg = load_run_config(
            args.config, launcher=args.launcher, work_dir=args.work_dir, cfg_options=args.cfg_options
        )
        cfg.load_from = args.checkpoint
        if args.show or args.show_dir:
            cfg = trigger_visualization_hook(cfg, args)
        runner = build_runner(cfg)
        if args.out is not None:
            runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
        runner.test()
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error


if __name__ == '__main__':
    main()
