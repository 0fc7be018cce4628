"""Time ours beside segment-anything: ViT-B at 1024 px in float32, in one process, on the same random weights.

Both sides take turns; equality is checked before the clock starts; the figure to read is the ratio.

Examples:
  python benchmarks/vit_b.py
  python benchmarks/vit_b.py --repeats 5 --boxes 1 16
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.build_sam import sam_model_registry
from timing import in_turns, ratio

from ultrasam.checkpoints.sources import from_source
from ultrasam.inference import UltraSamInferencer
from ultrasam.models.mask_head import SINGLE_MASK
from ultrasam.structures import Prompt, PromptBatch

BOX = (300.0, 250.0, 700.0, 640.0)


def row(name: str, ours: Callable[[], torch.Tensor], theirs: Callable[[], torch.Tensor], repeats: int) -> str:
    """Check equality, take turns, and report medians and their ratio."""
    difference = float((ours() - theirs()).abs().max())
    if difference > 1e-4:
        raise SystemExit(f'{name}: results differ by {difference:g}, nothing was timed')
    a, b = in_turns([ours, theirs], repeats)
    return f'| {name} | {statistics.median(a):.3f} s | {statistics.median(b):.3f} s | {ratio(a, b)} |\n'


def models() -> tuple[UltraSamInferencer, torch.nn.Module]:
    """Ours and segment-anything's, with the same random weights."""
    torch.manual_seed(0)
    sam = sam_model_registry['vit_b']().eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'random.pth'
        weights = from_source(sam.state_dict(), 'segment-anything')
        torch.save({'meta': {'ultrasam': {'mlp_skip': 'single'}}, 'state_dict': weights}, path)
        return UltraSamInferencer(path, device='cpu'), sam


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
    inferencer, sam = models()
    model = inferencer.model
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
    sys.stdout.write(whole_prompt(inferencer, SamPredictor(sam), args.repeats))


def whole_prompt(inferencer: UltraSamInferencer, predictor: SamPredictor, repeats: int) -> str:
    """A box on a cached image, from the call to masks at the size of the image: candidates of one pass."""
    picture = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    inferencer.set_image(picture)
    predictor.set_image(picture)

    def ours() -> torch.Tensor:
        answer = inferencer.predict(box=BOX, refinements=0, all_candidates=True)
        return torch.from_numpy(answer.logits.reshape(3, 256, 256))

    def theirs() -> torch.Tensor:
        return torch.from_numpy(predictor.predict(box=np.array(BOX), multimask_output=True)[2])

    return row('prompt on a cached image, masks at 1024 px', ours, theirs, repeats)


if __name__ == '__main__':
    main()
