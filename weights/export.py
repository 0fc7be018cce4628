r"""Write an UltraSam checkpoint in a form that other software reads, with a record of what it is.

Forms:
  segment-anything  one file for sam_model_registry (micro-sam, MedSAM's code and others load it)
  transformers      a folder for SamModel and SamProcessor
  safetensors       one file with our own names
  onnx              a folder: encoder with preprocessing inside and without, decoder of one mask and of all four
  x-anylabeling     a folder: encoder, decoder and the YAML file that X-AnyLabeling and AnyLabeling load
  cvat              a folder: weights for the server of CVAT, decoder for its browser side

Examples:
  python weights/export.py UltraSam.pth ultrasam_vit_b_sam.pth --to segment-anything
  python weights/export.py UltraSam.pth ultrasam_labelling --to x-anylabeling
  python weights/export.py weights/ultrasam_nano_256.pth nano_onnx --to onnx --opset 17
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.checkpoints.export import (
    DEFAULT_OPSET,
    RECORD_NAME,
    TARGETS,
    export_checkpoint,
    record_file,
    summary,
)
from ultrasam.errors import UltraSamError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='a checkpoint of UltraSam, ours or the published one')
    parser.add_argument('out', type=Path, help='file or folder to write')
    parser.add_argument('--to', required=True, choices=list(TARGETS), help='form to write')
    parser.add_argument('--opset', type=int, metavar='N', help=f'of ONNX files (default: {DEFAULT_OPSET})')
    parser.add_argument('--overwrite', action='store_true', help='replace an export that is there')
    return parser.parse_args()


def main() -> None:
    """Export, then say what was written."""
    args = parse_args()
    try:
        record = export_checkpoint(
            args.checkpoint, args.out, args.to, opset=args.opset, overwrite=args.overwrite
        )
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    place = args.out / RECORD_NAME if TARGETS[args.to].folder else record_file(args.out)
    sys.stdout.write(f'{summary(record)}\nrecord: {place}\n')


if __name__ == '__main__':
    main()
