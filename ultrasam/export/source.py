"""The checkpoint that is exported: its weights, what they are, and the model built from them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ultrasam.checkpoints.build import build_preprocessing, load_model
from ultrasam.checkpoints.model_card import ModelCard
from ultrasam.hashing import file_sha256
from ultrasam.models import SamTwoWayTransformer
from ultrasam.models.preprocessing import Preprocessing
from ultrasam.models.ultrasam import UltraSam
from ultrasam.structures import Prompt, PromptBatch


@dataclass(frozen=True)
class ExportSource:
    """A promptable UltraSam model, read from a file.

    Args:
        path: the file.
        sha256: of its content.
        state_dict: the weights under UltraSam's names, as stored.
        card: what they are.
        model: with these weights in float32, on the CPU, in evaluation mode.
        preprocessing: what prepares its images.
    """

    path: Path
    sha256: str
    state_dict: Mapping[str, Tensor]
    card: ModelCard
    model: UltraSam
    preprocessing: Preprocessing


def open_source(path: Path) -> ExportSource:
    """Read a checkpoint and build its model.

    Args:
        path: a checkpoint of UltraSam, ours or the published one.

    Raises:
        CheckpointError: it is missing, unsafe, damaged, or no promptable UltraSam model.
    """
    card, state_dict, model = load_model(path)
    return ExportSource(
        path=path,
        sha256=file_sha256(path),
        state_dict=state_dict,
        card=card,
        model=model.float().eval(),
        preprocessing=build_preprocessing(card),
    )


def single_skip_model(model: UltraSam, state_dict: Mapping[str, Tensor]) -> UltraSam:
    """A copy of a model whose decoder has the single skip, with the given weights."""
    twin = copy.deepcopy(model)
    twin.mask_decoder.transformer = SamTwoWayTransformer(mlp_skip='single')
    twin.load_state_dict(state_dict, strict=True)
    return twin.eval()


@torch.no_grad()
def largest_difference(a: UltraSam, b: UltraSam) -> dict[str, float]:
    """How far the decoders of two models of equal size are apart, on one seeded embedding and many prompts.

    Returns:
        ``mask_logits`` and ``predicted_iou``, the largest absolute
        differences, and ``largest_mask_logit``, to compare them with.
    """
    random = torch.Generator().manual_seed(0)
    encoder, side = a.prompt_encoder, a.prompt_encoder.img_size
    points, labels = (torch.rand(4, 2, generator=random) * side).numpy(), np.array([1, 0, 1, 1])
    box = np.array([0.2, 0.3, 0.7, 0.6]) * side
    prompts = [
        Prompt(points=points[:1], point_labels=labels[:1]),
        Prompt(points=points, point_labels=labels),
        Prompt(box=box),
        Prompt(points=points[:2], point_labels=labels[:2], box=box),
    ]
    batch = PromptBatch.from_prompts([prompts])
    embedding = torch.randn(1, 256, encoder.map_size, encoder.map_size, generator=random)
    (logits, iou, _), (other_logits, other_iou, _) = (model.decode(embedding, batch) for model in (a, b))
    return {
        'mask_logits': float((logits - other_logits).abs().max()),
        'predicted_iou': float((iou - other_iou).abs().max()),
        'largest_mask_logit': float(logits.abs().max()),
    }
