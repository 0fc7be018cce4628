"""Time ours beside segment-anything, in one process, on the same random weights.

Rows are the image encoder and the mask decoder of ViT-B at 1024 px in float32. Both sides take turns; equality is
checked before the clock starts; the figure to read is the ratio.

Examples:
  python benchmarks/run.py
  python benchmarks/run.py --repeats 5 --boxes 1 16
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from segment_anything.build_sam import sam_model_registry

import ultrasam.registry  # noqa: F401
from ultrasam.checkpoints.describe import describe
from ultrasam.checkpoints.sam_names import from_segment_anything
from ultrasam.models.mask_head import SINGLE_MASK
from ultrasam.structures import Prompt, PromptBatch

BOX = (300.0, 250.0, 700.0, 640.0)


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def row(name: str, ours: Callable[[], torch.Tensor], theirs: Callable[[], torch.Tensor], repeats: int) -> str:
    """Check equality, take turns, and report medians and their ratio."""
    difference = float((ours() - theirs()).abs().max())
    if difference > 1e-4:
        raise SystemExit(f'{name}: results differ by {difference:g}, nothing was timed')
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    low, high = min(t / o for o, t in pairs), max(t / o for o, t in pairs)
    return f'| {name} | {a:.3f} s | {b:.3f} s | {b / a:.2f} ({low:.2f} to {high:.2f}) |\n'


@torch.no_grad()
def main() -> None:
    """Build both models and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--repeats', type=int, default=3, help='counted runs of each side (default: 3)')
    parser.add_argument(
        '--boxes', type=int, nargs='+', default=[1, 16], help='prompts at once (default: 1 16)'
    )
    args = parser.parse_args()
    torch.manual_seed(0)
    init_default_scope('mmdet')
    sam = sam_model_registry['vit_b']().eval()
    weights = from_segment_anything(sam.state_dict())
    model = MODELS.build(
        describe(weights, {'ultrasam': {'mlp_skip': 'single'}}, 'random').model_config()
    ).eval()
    model.load_state_dict(weights, strict=True)
    image = torch.randn(1, 3, 1024, 1024)
    sys.stdout.write(
        f'torch {torch.__version__}, {torch.get_num_threads()} threads, float32, ViT-B at 1024 px\n\n'
    )
    sys.stdout.write('| part | ours | segment-anything | times as fast |\n|---|---|---|---|\n')
    sys.stdout.write(
        row('encoder', lambda: model.extract_feat(image), lambda: sam.image_encoder(image), args.repeats)
    )
    embedding = model.extract_feat(image)
    for count in args.boxes:
        boxes = torch.tensor(BOX).expand(count, 4)
        prompts = PromptBatch.from_prompts([[Prompt(box=(torch.tensor(BOX) + 0.5).numpy())] * count])

        def decode(prompts: PromptBatch = prompts) -> torch.Tensor:
            return model.decode(embedding, prompts, mask_prompt=None, candidates=SINGLE_MASK)[0]

        def peer(boxes: torch.Tensor = boxes) -> torch.Tensor:
            sparse, dense = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
            image_pe = sam.prompt_encoder.get_dense_pe()
            return sam.mask_decoder(embedding, image_pe, sparse, dense, multimask_output=False)[0]

        sys.stdout.write(row(f'decoder, {count} boxes', decode, peer, args.repeats))


if __name__ == '__main__':
    main()
