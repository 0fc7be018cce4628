"""Time the image encoder, ViT-B at 1024 px, beside segment-anything, transformers and mmpretrain, on the same weights.

All are checked to give the same embedding before the clock starts. ``bfloat16`` is mixed precision, whose error is
printed, beside segment-anything converted to it. With ``--profile`` it also tells where the time of one image goes.

Examples:
  python benchmarks/encoder.py --threads 2
  python benchmarks/encoder.py --full --json encoder.json
  python benchmarks/encoder.py --profile
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import harness
import torch
from profiling import print_profiles
from segment_anything.build_sam import sam_model_registry
from torch import Tensor, nn

from ultrasam.checkpoints.sources import from_source
from ultrasam.models.image_encoder import SamImageEncoder

# products of one image, without those of the places that fill up windows
GFLOP = 937.8
SIDE = 1024
TOLERANCE = 2e-5
LARGEST_ERROR_OF_BFLOAT16 = 0.02
RENAMED = (
    ('blocks.', 'layers.'), ('.norm', '.layer_norm'), ('patch_embed.proj', 'patch_embed.projection'),
    ('neck.0', 'neck.conv1'), ('neck.1', 'neck.layer_norm1'), ('neck.2', 'neck.conv2'), ('neck.3', 'neck.layer_norm2'),
)  # fmt: skip


def encoders() -> tuple[SamImageEncoder, nn.Module]:
    """Ours and segment-anything's, with the same random weights."""
    torch.manual_seed(0)
    sam = sam_model_registry['vit_b']()
    for name, parameter in sam.image_encoder.named_parameters():
        if 'rel_pos' in name or 'pos_embed' in name:
            nn.init.normal_(parameter, std=0.05)
    weights = from_source(sam.state_dict(), 'segment-anything')
    ours = SamImageEncoder().eval()
    ours.load_state_dict(
        {
            key.removeprefix('backbone.'): value
            for key, value in weights.items()
            if key.startswith('backbone.')
        }
    )
    return ours, sam.image_encoder.eval()


def of_transformers(sam: nn.Module, attention: str) -> Callable[[Tensor], Tensor]:
    """The encoder of transformers with the weights of segment-anything's."""
    from transformers import SamVisionConfig, SamVisionModel

    config = SamVisionConfig(attn_implementation=attention)
    model = SamVisionModel(config).eval()
    weights = {}
    for name, value in sam.state_dict().items():
        for old, new in RENAMED:
            name = name.replace(old, new)
        weights[f'vision_encoder.{name}'] = value
    model.load_state_dict(weights)
    return lambda image: model(image).last_hidden_state


def of_mmpretrain(ours: SamImageEncoder) -> Callable[[Tensor], Tensor]:
    """The encoder of mmpretrain, on which the published implementation is built, with our weights."""
    from mmpretrain.models.backbones import ViTSAM

    model = ViTSAM(
        arch='base', img_size=SIDE, patch_size=16, out_channels=256, use_abs_pos=True, use_rel_pos=True, window_size=14
    )  # fmt: skip
    model.load_state_dict(ours.state_dict())
    # this one returns nothing
    model.eval()
    return lambda image: model(image)[0]


def in_bfloat16(ours: SamImageEncoder, image: Tensor) -> Tensor:
    """The embedding in mixed precision."""
    with torch.autocast(image.device.type, torch.bfloat16):
        return ours(image).float()


def error(rounded: Tensor, exact: Tensor) -> float:
    """Norm of the difference over that of the exact embedding."""
    return float((rounded.float() - exact).norm() / exact.norm())


@torch.no_grad()
def on_gpu(report: harness.Report, ours: SamImageEncoder, sam: nn.Module, device: torch.device) -> None:
    """Images a second in bfloat16, at a batch of 16."""
    images = torch.randn(16, 3, SIDE, SIDE, device=device)
    ours, sam = ours.to(device), sam.to(device)

    def theirs() -> Tensor:
        with torch.autocast('cuda', torch.bfloat16):
            return sam(images).float()

    report.compare(
        'ViT-B, 16 images, bfloat16',
        {'ours': lambda: in_bfloat16(ours, images), 'segment-anything, autocast': theirs},
        tolerance=float('inf'), flop=16 * GFLOP * 1e9, gemm='bfloat16', units=16, unit='image',
    )  # fmt: skip


@torch.no_grad()
def main() -> None:
    """Build all encoders and print the rows."""
    parser = harness.parser(__doc__, repeats=3)
    parser.add_argument('--profile', action='store_true', help='where the time goes, instead of the rows')
    args = parser.parse_args()
    device = harness.gpu()
    report = harness.Report('encoder', args, device)
    ours, sam = encoders()
    image = torch.randn(1, 3, SIDE, SIDE)
    if args.profile:
        print_profiles(
            {
                'segment-anything': lambda: sam(image),
                'ours, float32': lambda: ours(image),
                'ours, bfloat16': lambda: in_bfloat16(ours, image),
            }
        )
        return
    report.gemm(torch.float32, torch.bfloat16)
    sides = {'ours': lambda: ours(image), 'segment-anything': lambda: sam(image)}
    transformer = of_transformers(sam, 'sdpa')
    sides['transformers, sdpa'] = lambda: transformer(image)
    if args.full:
        published = of_mmpretrain(ours)
        sides['mmpretrain'] = lambda: published(image)
    report.compare(
        'ViT-B, 1 image, float32', sides, tolerance=TOLERANCE, flop=GFLOP * 1e9, gemm='float32 oneDNN packed'
    )
    exact, rounded = sam(image), in_bfloat16(ours, image)
    coarse = sam_model_registry['vit_b']().image_encoder.eval()
    coarse.load_state_dict(sam.state_dict())
    coarse.bfloat16()
    small = image.bfloat16()
    mine, theirs = error(rounded, exact), error(coarse(small), exact)
    if mine > LARGEST_ERROR_OF_BFLOAT16:
        sys.exit(f'bfloat16 is off by {mine:.2%} of the embedding: nothing timed')
    report.compare(
        'ViT-B, 1 image, bfloat16',
        {'ours': lambda: in_bfloat16(ours, image), 'segment-anything, bfloat16': lambda: coarse(small)},
        tolerance=float('inf'), flop=GFLOP * 1e9, gemm='bfloat16',
    )  # fmt: skip
    report.note(
        f'error of bfloat16, of the norm of the embedding: ours {mine:.2%}, segment-anything {theirs:.2%}'
    )
    if device is None:
        report.absent('ViT-B, 16 images, bfloat16 on a GPU')
    else:
        on_gpu(report, ours, sam, device)
    report.finish()


if __name__ == '__main__':
    main()
