"""Corrective clicks of training: on tensors, for all instances of a batch at once.

They fall anywhere in the error, as SAM was trained; those of :func:`ultrasam.prompts.users.corrective_click` fall
amid its largest part, as interactive segmentation is evaluated.
"""

from __future__ import annotations

import torch
from torch import Tensor


def corrective_clicks(logits: Tensor, targets: Tensor, cell: float) -> tuple[Tensor, Tensor]:
    """Draw one click an instance, uniformly from where its mask is wrong.

    A click on a missed part is positive, one on a part too much is negative (Sofiiuk et al. 2022, section 4; Kirillov
    et al. 2023, appendix A).  Where nothing is wrong the click falls on the object, or anywhere if there is none.

    Args:
        logits: (M, h, h), float, mask logits over the padded input.
        targets: (M, h, h), float, 0 or 1.
        cell: Side of a cell of the logits, in pixels of the padded input.

    Returns:
        Points (M, 2), float, xy pixels of the padded input, and labels (M,), bool, True for positive.
    """
    truth = targets > 0
    wrong = (logits > 0) ^ truth
    fallback = torch.where(truth.flatten(1).any(1)[:, None, None], truth, True)
    weights = torch.where(wrong.flatten(1).any(1)[:, None, None], wrong, fallback).flatten(1).float()
    index = torch.multinomial(weights, 1)[:, 0] if len(weights) else weights.new_zeros(0, dtype=torch.long)
    labels = truth.flatten(1).gather(1, index[:, None])[:, 0]
    size = logits.shape[-1]
    corner = torch.stack([index % size, index.div(size, rounding_mode='floor')], 1)
    return (corner + torch.rand_like(corner, dtype=torch.float32)) * cell, labels
