"""``ultrasam info``: what a checkpoint is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

EXAMPLES = """examples:
  ultrasam info UltraSam.pth
  ultrasam info sam_vit_b_01ec64.pth     segment-anything, MedSAM, SAM-Med2D, ViTSAM, LoRA, classifiers, ...
  ultrasam info sam-vit-base/            a folder of transformers
  ultrasam info decoder.onnx
  ultrasam info                          the checkpoint that ships
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        'info',
        help='what a checkpoint is',
        description='Say what a checkpoint is and what to do with it: architecture, sha256, licence, tensors.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'checkpoint', type=Path, nargs='?', help='a file, or a folder of transformers (default: what ships)'
    )
    parser.add_argument('--keys', action='store_true', help='list every tensor')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe the file."""
    from ultrasam.cli.optional import needs_torch

    needs_torch('ultrasam info')
    from ultrasam.checkpoints.summary import summarise
    from ultrasam.predict.weights import shipped_checkpoint

    summary = summarise(args.checkpoint or shipped_checkpoint())
    for label, words in summary.lines.items():
        sys.stdout.write(f'{label:>16}  {words}\n')
    for name, tensor in summary.weights.items() if args.keys else ():
        sys.stdout.write(f'{name}  {tuple(tensor.shape)}  {tensor.dtype}\n')
    return 0
