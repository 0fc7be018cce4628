r"""Convert weights to UltraSam's names, or merge adapters into their base.

What IN is, is told from the names in it: segment-anything (ViT-B, L, H), MedSAM, SamModel of transformers (a folder
or a file), the image encoder ViTSAM of mmpretrain, UltraSam as published, ours, or LoRA adapters. Every tensor is
used once, and the result is checked against the model; a record of where each went is written to OUT.json.

Configs of this package have a decoder with the doubled skip: to train from foreign weights, give --mlp-skip doubled.

Examples:
  python weights/convert.py sam_vit_b_01ec64.pth weights/mapped_sam_vit_b_01ec64.pth --as sam --mlp-skip doubled
  python weights/convert.py medsam_vit_b.pth weights/mapped_medsam_vit_b.pth --as medsam
  python weights/convert.py sam-vit-base/ sam.safetensors
  python weights/convert.py adapters.pth merged.pth --merge-lora UltraSam.pth
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ultrasam.checkpoints.sources import PROFILES
from ultrasam.errors import UltraSamError
from ultrasam.export.convert import convert_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, metavar='IN', help='a file, or a folder of transformers')
    parser.add_argument('out', type=Path, metavar='OUT', help='file to write: .pth or .safetensors')
    parser.add_argument('--as', dest='profile', choices=sorted(PROFILES), metavar='NAME',
                        help=f'who trained it: {", ".join(sorted(PROFILES))} (licence, preprocessing)')  # fmt: skip
    parser.add_argument(
        '--merge-lora', type=Path, metavar='BASE', help='IN holds adapters; merge them into BASE'
    )
    parser.add_argument(
        '--lora-alpha', type=float, metavar='A', help='scale of the adapters (default: as noted, or 16)'
    )
    parser.add_argument('--mlp-skip', choices=['single', 'doubled'], help='skip of the decoder that is to take the '
                        'weights (default: that of the source); masks stay the same')  # fmt: skip
    parser.add_argument('--half', action='store_true', help='store float16')
    parser.add_argument('--overwrite', action='store_true', help='replace files that are there')
    return parser.parse_args()


def main() -> None:
    """Convert and report."""
    args = parse_args()
    try:
        done = convert_file(
            args.source, args.out, profile=args.profile, lora_base=args.merge_lora,
            lora_alpha=args.lora_alpha, mlp_skip=args.mlp_skip, half=args.half, overwrite=args.overwrite,
        )  # fmt: skip
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    report = [f'{args.source}: {done.title}', *done.accounts, *(f'note: {remark}' for remark in done.remarks)]
    report.append(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, sha256 {done.sha256}')
    sys.stdout.write('\n'.join(report) + '\n')


if __name__ == '__main__':
    main()
