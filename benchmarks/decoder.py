"""Time the decoder beside segment-anything's: ViT-B at 1024 px in float32, one process, the same random weights.

Two kinds of row: box prompts, of which ours decodes all four masks; and a single prompt against twenty slots, of which
nineteen are empty, as the published code decodes it (two passes, ours on both sides).

Examples:
  python benchmarks/decoder.py
  python benchmarks/decoder.py --full --repeats 5
  python benchmarks/decoder.py --profile
"""

from __future__ import annotations

from collections.abc import Callable

import harness
import numpy as np
import torch
from profiling import print_profiles
from segment_anything.build_sam import sam_model_registry
from torch import Tensor, nn

from ultrasam.checkpoints.model_card import read_card
from ultrasam.checkpoints.sources import from_source
from ultrasam.models.mask_decoder import SINGLE_MASK
from ultrasam.openmmlab.model_cards import detector_config
from ultrasam.openmmlab.models import UltraSamDetector as UltraSam
from ultrasam.structures import Prompt, PromptBatch

FLOP = 3.62e9
SLOTS = 20
Call = Callable[[], Tensor]


def detectors(device: torch.device) -> tuple[UltraSam, nn.Module]:
    """Ours and segment-anything's, with the same random weights."""
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope

    import ultrasam.openmmlab.registry  # noqa: F401

    torch.manual_seed(0)
    sam = sam_model_registry['vit_b']().eval()
    weights = from_source(sam.state_dict(), 'segment-anything')
    settings = detector_config(read_card(weights, {'ultrasam': {'mlp_skip': 'single'}}, 'random'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        ours = MODELS.build(settings)
    ours.load_state_dict(weights, strict=True)
    return ours.eval().to(device), sam.to(device)


def boxes_of(count: int) -> np.ndarray:
    """Boxes (count, 4), xyxy pixels, all different."""
    corners = np.random.default_rng(0).uniform(40, 500, (count, 2))
    return np.concatenate([corners, corners + np.random.default_rng(1).uniform(60, 480, (count, 2))], 1)


def decode_ours(model: UltraSam, embedding: Tensor, boxes: np.ndarray) -> Call:
    """One pass over boxes."""
    prompts = [Prompt(box=box + 0.5) for box in boxes.astype(np.float32)]
    batch = PromptBatch.from_prompts([prompts], embedding.device)
    return lambda: model.decode(embedding, batch).logits[:, SINGLE_MASK]


def decode_theirs(sam: nn.Module, embedding: Tensor, boxes: np.ndarray) -> Call:
    """The same by segment-anything."""
    given = torch.from_numpy(boxes.astype(np.float32)).to(embedding.device)

    def decode() -> Tensor:
        sparse, dense = sam.prompt_encoder(points=None, boxes=given, masks=None)
        positions = sam.prompt_encoder.get_dense_pe()
        return sam.mask_decoder(embedding, positions, sparse, dense, multimask_output=False)[0]

    return decode


def two_passes(model: UltraSam, embedding: Tensor, boxes: np.ndarray) -> Call:
    """A first mask, and the three candidates of the second look; the answer is that of the first box."""
    batch = PromptBatch.from_prompts([[Prompt(box=box + 0.5) for box in boxes.astype(np.float32)]])

    def decode() -> Tensor:
        first = model.decode(embedding, batch).logits[:, SINGLE_MASK]
        return model.decode(embedding, batch, first).logits[0, 1:]

    return decode


def main() -> None:
    """Build both models and measure."""
    parser = harness.parser(__doc__)
    parser.add_argument('--boxes', type=int, nargs='+', help='prompts at once (default: 1 16, full: 1 16 64)')
    parser.add_argument('--profile', action='store_true', help='print where the time of one box goes')
    args = parser.parse_args()
    device = harness.gpu() or torch.device('cpu')
    report = harness.Report('decoder', args, harness.gpu())
    report.gemm(torch.float32)
    model, sam = detectors(device)
    embedding = 0.5 * torch.randn(1, 256, 64, 64, device=device)
    if args.profile:
        box = boxes_of(1)
        print_profiles(
            {
                'ours': decode_ours(model, embedding, box),
                'segment-anything': decode_theirs(sam, embedding, box),
            }
        )
        return
    for count in args.boxes or ((1, 16, 64) if args.full else (1, 16)):
        boxes = boxes_of(count)
        sides = {
            'ours': decode_ours(model, embedding, boxes),
            'segment-anything': decode_theirs(sam, embedding, boxes),
        }
        report.compare(
            f'{count} box{"es" * (count > 1)}',
            sides, tolerance=1e-5, flop=count * FLOP, gemm='float32 oneDNN packed', units=count, unit='box',
        )  # fmt: skip
    if device.type == 'cpu':
        boxes = boxes_of(SLOTS)
        sides = {f'{n} slot{"s" * (n > 1)}': two_passes(model, embedding, boxes[:n]) for n in (1, SLOTS)}
        report.compare('one prompt, two passes', sides, tolerance=1e-4)
        report.absent('latency on a GPU')
    report.finish()


if __name__ == '__main__':
    with torch.no_grad():
        main()
