"""``ultrasam weights``: a checkpoint in the forms that other software reads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.cli.exit_codes import DONE

EXPORT_HELP = """Write an UltraSam checkpoint in a form that other software reads, with a record of what it is.

Forms:
  predictor         a folder: the ONNX pair that `ultrasam predict` runs without PyTorch (the default)
  segment-anything  one file for sam_model_registry (micro-sam, MedSAM's code and others load it)
  transformers      a folder for SamModel and SamProcessor
  safetensors       one file with our own names
  onnx              a folder: encoder with preprocessing inside and without, decoder of one mask and of all four
  x-anylabeling     a folder: encoder, decoder and the YAML file that X-AnyLabeling and AnyLabeling load
  cvat              a folder: weights for the server of CVAT, decoder for its browser side
"""
FORMS = ('predictor', 'segment-anything', 'transformers', 'safetensors', 'onnx', 'x-anylabeling', 'cvat')
EXAMPLES = """examples:
  {program} UltraSam.pth ultrasam_onnx
  {program} UltraSam.pth ultrasam_vit_b_sam.pth --to segment-anything
  {program} UltraSam.pth ultrasam_labelling --to x-anylabeling
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command."""
    parser = commands.add_parser('weights', help='export weights')
    actions = parser.add_subparsers(required=True, metavar='ACTION')
    export = actions.add_parser(
        'export',
        help='write weights for other software, or as ONNX',
        description=EXPORT_HELP,
        epilog=EXAMPLES.format(program='ultrasam weights export'),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_export_arguments(export, default='predictor')
    export.set_defaults(run=run_export)


def add_export_arguments(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Add the arguments of an export; without a default the form must be named."""
    parser.add_argument('checkpoint', type=Path, help='checkpoint of UltraSam, ours or the published one')
    parser.add_argument('out', type=Path, help='file or folder to write')
    parser.add_argument(
        '--to', required=default is None, default=default, choices=FORMS, help='form to write'
    )
    parser.add_argument('--opset', type=int, metavar='N', help='opset of ONNX files (default: 17)')
    parser.add_argument('--overwrite', action='store_true', help='replace an export that is there')


def run_export(args: argparse.Namespace) -> int:
    """Export, then say what was written."""
    from ultrasam.cli.optional import needs_torch

    needs_torch('exporting weights')
    from ultrasam.export import RECORD_NAME, TARGETS, export_checkpoint, record_file, summary

    record = export_checkpoint(
        args.checkpoint,
        args.out,
        args.to,
        opset=args.opset,
        overwrite=args.overwrite,
    )
    place = args.out / RECORD_NAME if TARGETS[args.to].folder else record_file(args.out)
    sys.stdout.write(f'{summary(record)}\nrecord: {place}\n')
    return DONE
