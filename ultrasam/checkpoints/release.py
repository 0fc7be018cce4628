"""From a training checkpoint to a file to hand on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ultrasam.atomic import refuse_existing
from ultrasam.checkpoints.digests import publish_checkpoint
from ultrasam.checkpoints.model_card import NOTE_KEY, read_card
from ultrasam.checkpoints.reader import load_checkpoint_file
from ultrasam.checkpoints.state_dicts import check_finite, state_dict_of


def write_release(
    checkpoint: Path, out: Path, *, note: Mapping[str, Any], half: bool = True, overwrite: bool = False
) -> int:
    """Write the weights of a training checkpoint alone, with a note of what they are and the sha256 beside.

    Args:
        checkpoint: a checkpoint of a training run; its averaged weights are not used.
        out: the file to write.
        note: further plain values, such as ``licence`` and what it was trained on; what the checkpoint says about
            itself stays, unless it is said otherwise here.
        half: store float16, which half a file of float32 needs; values that do not fit are refused.
        overwrite: replace a file that is there.

    Returns:
        Number of parameters.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        OutputError: ``out`` exists, or cannot be written.
    """
    refuse_existing(out, overwrite=overwrite)
    content = load_checkpoint_file(checkpoint)
    weights = state_dict_of(content, checkpoint)
    card = read_card(weights, content.get('meta'), str(checkpoint))
    stated = json.loads(json.dumps({**card.note(), **note}, default=str))
    if half:
        weights = type(weights)(
            (name, tensor.half() if tensor.is_floating_point() else tensor)
            for name, tensor in weights.items()
        )
    check_finite(weights, checkpoint)
    release = {'meta': {NOTE_KEY: stated}, 'state_dict': dict(weights)}
    with publish_checkpoint(out, overwrite=overwrite, verify=load_checkpoint_file) as path:
        torch.save(release, path)
    return sum(tensor.numel() for tensor in weights.values())
