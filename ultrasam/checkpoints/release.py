"""From a training checkpoint to a file to hand on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ultrasam.atomic import refuse_existing
from ultrasam.checkpoints.describe import NOTE_KEY, describe
from ultrasam.checkpoints.digests import publish_checkpoint
from ultrasam.checkpoints.plain import to_plain
from ultrasam.checkpoints.reader import load_checkpoint_file
from ultrasam.checkpoints.state_dicts import check_finite, state_dict_of


def write_release(
    checkpoint: Path, out: Path, *, note: Mapping[str, Any], half: bool = True, overwrite: bool = False
) -> int:
    """Write the weights of a training checkpoint alone, with a note of what they are and the sha256 beside.

    Args:
        checkpoint: a checkpoint of a training run; its averaged weights are not used.
        out: the file to write.
        note: plain values that say what names and shapes cannot: ``mlp_skip``, ``licence``, what it was trained on.
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
    meta = {**_meta_of(content), NOTE_KEY: dict(note)}
    if class_names := describe(weights, meta, str(checkpoint)).class_names:
        note = {**note, 'classes': list(class_names)}
    if half:
        weights = type(weights)(
            (name, tensor.half() if tensor.is_floating_point() else tensor)
            for name, tensor in weights.items()
        )
    check_finite(weights, checkpoint)
    release = {'meta': {NOTE_KEY: to_plain(dict(note), 'the note')}, 'state_dict': dict(weights)}
    with publish_checkpoint(out, overwrite=overwrite, verify=load_checkpoint_file) as path:
        torch.save(release, path)
    return sum(tensor.numel() for tensor in weights.values())


def _meta_of(content: Any) -> Mapping[str, Any]:
    """What a run writes of itself beside the weights."""
    meta = content.get('meta') if isinstance(content, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}
