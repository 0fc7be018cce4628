"""From a training checkpoint to a file to hand on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ultrasam.checkpoints.describe import NOTE_KEY, describe
from ultrasam.checkpoints.reader import load_checkpoint_file
from ultrasam.checkpoints.state_dicts import check_finite, state_dict_of
from ultrasam.errors import CheckpointError


def write_release(
    checkpoint: Path, out: Path, *, note: Mapping[str, Any], half: bool = True, overwrite: bool = False
) -> int:
    """Write the weights of a training checkpoint alone, with a note of what they are.

    Args:
        checkpoint: a checkpoint of a training run; its averaged weights are not used.
        out: the file to write.
        note: plain values that say what names and shapes cannot: ``mlp_skip``, ``licence``, what it was trained on.
        half: store float16, which half a file of float32 needs; values that do not fit are refused.
        overwrite: replace a file that is there.

    Returns:
        Number of parameters.

    Raises:
        CheckpointError: the checkpoint cannot be used, or ``out`` exists.
    """
    if out.exists() and not overwrite:
        raise CheckpointError(f'{out}: exists already; choose another name, or allow to overwrite it')
    content = load_checkpoint_file(checkpoint)
    weights = state_dict_of(content, checkpoint)
    describe(weights, {NOTE_KEY: dict(note)}, str(checkpoint))
    if half:
        weights = type(weights)((name, tensor.half()) for name, tensor in weights.items())
    check_finite(weights, checkpoint)
    with tempfile.NamedTemporaryFile(dir=out.parent, suffix='.tmp', delete=False) as file:
        torch.save({'meta': {NOTE_KEY: dict(note)}, 'state_dict': dict(weights)}, file)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    os.replace(file.name, out)
    return sum(tensor.numel() for tensor in weights.values())
