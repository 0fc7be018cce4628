"""Time what follows the decoder: logits to masks, boxes and run lengths at the size of the image.

The other side is the definition: two float resizes of whole maps, a threshold, boxes of the masks, and pycocotools.
All results are equal bit by bit.

Examples:
  python benchmarks/postprocess.py
  python benchmarks/postprocess.py --full --repeats 21
"""

from __future__ import annotations

from typing import Any

import harness
import numpy as np
import torch
import torch.nn.functional as F
from pycocotools import mask as coco_mask
from torch import Tensor

from ultrasam.models.postprocess import (
    MASK_UPSAMPLINGS,
    ImageMasks,
    Placement,
    boxes_of_masks,
    interpolated_masks,
)

INPUT = 1024
QUICK, FULL = ((600, 800), (1024, 1024)), ((480, 640), (600, 800), (768, 1024), (1024, 1024), (1080, 1920))


def logits_of(count: int) -> Tensor:
    """Logits (count, 256, 256) of wavy objects that take a fifth of the input."""
    torch.manual_seed(0)
    waves = F.interpolate(torch.randn(count, 1, 10, 10), (256, 256), mode='bicubic', align_corners=False)[
        :, 0
    ]
    along = torch.linspace(-1, 1, 256)
    distance = (along[:, None].square() + along.square()).sqrt()
    return 2 * waves - 12 * (distance - 0.5)


def by_definition(logits: Tensor, placement: Placement, upsampling: str) -> Any:
    """Masks, boxes and counts by two resizes."""
    masks = interpolated_masks(logits, placement, upsampling)
    counts = [coco_mask.encode(np.asfortranarray(mask, np.uint8))['counts'] for mask in masks.numpy()]
    return masks, boxes_of_masks(masks), *counts


def ours(logits: Tensor, placement: Placement, upsampling: str) -> Any:
    """The same."""
    found = ImageMasks(logits, placement, upsampling)
    return found.masks, found.boxes, *(code['counts'] for code in found.run_lengths)


def main() -> None:
    """Measure every size and both ways to enlarge."""
    args = harness.parser(__doc__, repeats=15).parse_args()
    report = harness.Report('postprocess', args)
    logits = logits_of(1)
    for height, width in FULL if args.full else QUICK:
        resized = (INPUT * height // max(height, width), INPUT * width // max(height, width))
        placement = Placement(INPUT, resized, (height, width))
        for upsampling in MASK_UPSAMPLINGS:
            given = (logits, placement, upsampling)
            report.compare(
                f'{width} x {height} px, {upsampling}: mask, box and run lengths',
                {
                    'ours': lambda given=given: ours(*given),
                    'two float resizes': lambda given=given: by_definition(*given),
                },
                unit='object',
            )
        given = (logits, placement, 'binary')
        report.compare(
            f'{width} x {height} px, binary: run lengths alone',
            {
                'ours': lambda given=given: [code['counts'] for code in ImageMasks(*given).run_lengths],
                'two float resizes': lambda given=given: list(by_definition(*given)[2:]),
            },
            unit='object',
        )
    report.finish()


if __name__ == '__main__':
    main()
