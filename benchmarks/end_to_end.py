"""From a picture to a mask: ours beside segment-anything's predictor, ViT-B at 1024 px in float32, same random weights.

Rows: a picture that is new, with one box; a box on the picture that is encoded already, with all three candidate masks;
and the same with the best of them alone, for which segment-anything has to make all three. The last two are measured
for masks that are regions, as those of a trained model are, and for masks that are noise over the whole image, which
are the worst case for what ours does after the decoder: those that random weights give of a noisy picture.

Examples:
  python benchmarks/end_to_end.py
  python benchmarks/end_to_end.py --full
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import harness
import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.build_sam import sam_model_registry

from ultrasam.checkpoints.sources import from_source
from ultrasam.inference import UltraSamInferencer
from ultrasam.structures import ObjectPrompt

BOX = (300.0, 250.0, 700.0, 640.0)
# of the encoder without padding of windows, and of one prompt
FLOP_OF_IMAGE, FLOP_OF_PROMPT = 937.8e9, 3.62e9


def predictors(device: str) -> tuple[UltraSamInferencer, SamPredictor]:
    """Ours and segment-anything's, with the same random weights."""
    torch.manual_seed(0)
    sam = sam_model_registry['vit_b']().eval()
    for layer in sam.mask_decoder.output_upscaling:
        if isinstance(layer, torch.nn.ConvTranspose2d):
            # the four parts of a cell alike, so that a mask is no finer than the embedding
            layer.weight.data = layer.weight.mean((2, 3), keepdim=True).expand_as(layer.weight).contiguous()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'random.pth'
        weights = from_source(sam.state_dict(), 'segment-anything')
        torch.save({'meta': {'ultrasam': {'mlp_skip': 'single'}}, 'state_dict': weights}, path)
        return UltraSamInferencer(path, device=device), SamPredictor(sam.to(device))


def picture_of(what: str, height: int, width: int) -> np.ndarray:
    """A picture (height, width, 3), uint8: noise, or a blurred ellipse, of which even random weights make regions."""
    if what == 'noise':
        return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    left, top, right, bottom = (round(side) for side in np.array(BOX) * (width, height, width, height) / 1024)
    picture = np.full((height, width, 3), 60, np.uint8)
    centre, axes = ((left + right) // 2, (top + bottom) // 2), ((right - left) // 2, (bottom - top) // 2)
    cv2.ellipse(picture, centre, axes, 0, 0, 360, (170, 170, 170), -1)
    return cv2.GaussianBlur(picture, (0, 0), 9)


def main() -> None:
    """Build both and measure."""
    args = harness.parser(__doc__, repeats=3).parse_args()
    report = harness.Report('end_to_end', args, harness.gpu())
    report.gemm(torch.float32)
    ours, theirs = predictors('cpu' if harness.gpu() is None else 'cuda')
    sizes = ((1024, 1024), (600, 800), (1200, 1000)) if args.full else ((1024, 1024),)
    for height, width in sizes:
        box = tuple(np.array(BOX) * (width, height, width, height) / 1024)

        def prompt_ours(box: tuple[float, ...] = box) -> np.ndarray:
            answer = ours.predict(ObjectPrompt(box_xyxy=box), refinements=0, all_candidates=True)
            return answer.logits.reshape(3, 256, 256)

        def prompt_theirs(box: tuple[float, ...] = box) -> np.ndarray:
            return theirs.predict(box=np.array(box), multimask_output=True)[2]

        def best_ours(box: tuple[float, ...] = box) -> np.ndarray:
            return ours.predict(ObjectPrompt(box_xyxy=box), refinements=0).logits.reshape(256, 256)

        def best_theirs(box: tuple[float, ...] = box) -> np.ndarray:
            _, scores, logits = theirs.predict(box=np.array(box), multimask_output=True)
            return logits[scores.argmax()]

        # only at the size of the network do both resize alike
        tolerance = 1e-4 if max(height, width) == min(height, width) == 1024 else float('inf')
        for masks in ('regions', 'noise'):
            picture = picture_of(masks, height, width)

            def image_ours(picture: np.ndarray = picture) -> np.ndarray:
                ours.set_image(picture)
                return prompt_ours()

            def image_theirs(picture: np.ndarray = picture) -> np.ndarray:
                theirs.set_image(picture)
                return prompt_theirs()

            name = f'{width} x {height} px'
            if masks == 'regions':
                report.compare(
                    f'{name}, new picture and one box',
                    {'ours': image_ours, 'segment-anything': image_theirs},
                    tolerance=tolerance,
                    flop=FLOP_OF_IMAGE + FLOP_OF_PROMPT,
                    gemm='float32 oneDNN packed',
                )
            else:
                ours.set_image(picture)
                theirs.set_image(picture)
            for what, sides in (
                ('three masks', {'ours': prompt_ours, 'segment-anything': prompt_theirs}),
                ('the best mask', {'ours': best_ours, 'segment-anything': best_theirs}),
            ):
                report.compare(
                    f'{name}, one box on the picture that is encoded, {what}, {masks}',
                    sides,
                    tolerance=tolerance,
                    repeats=5 * args.repeats,
                )
    report.finish()


if __name__ == '__main__':
    with torch.no_grad():
        main()
