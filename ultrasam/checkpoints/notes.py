"""What names and shapes of weights cannot tell: written into what we save, compared when it is loaded.

Weights trained with another skip connection or on otherwise normalised images fit every name and shape, load without
a word and give wrong masks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import is_model_wrapper

from ultrasam.checkpoints.describe import note_of
from ultrasam.errors import CheckpointError
from ultrasam.openmmlab.models.preprocessing import MinMaxPreprocessor

_COMPARED = ('mlp_skip', 'box_mask', 'preprocessing', 'pixel_mean', 'pixel_std', 'class_activation')
_TOLERANCE = 1e-3


def note_of_model(model: torch.nn.Module) -> dict[str, Any]:
    """What a model is beyond its weights, as plain values; empty for one that is no UltraSam.

    Args:
        model: The detector, or a parallel wrapper around it.
    """
    bare = model.module if is_model_wrapper(model) else model
    places = {
        'mlp_skip': (getattr(bare, 'decoder', None), 'mlp_skip'),
        'box_mask': (getattr(bare, 'prompt_encoder', None), 'box_mask'),
        'point_refinement': (bare, 'point_refinement'),
        'class_activation': (getattr(bare, 'bbox_head', None), 'activation'),
    }
    note = {name: getattr(owner, attribute, None) for name, (owner, attribute) in places.items()}
    known: dict[str, Any] = {name: value for name, value in note.items() if isinstance(value, str)}
    if 'mlp_skip' not in known:
        return {}
    known['inference_refinements'] = getattr(bare, 'inference_refinements', None)
    return {**known, **_preprocessing(getattr(bare, 'data_preprocessor', None))}


def _preprocessing(preprocessor: Any) -> dict[str, Any]:
    if isinstance(preprocessor, MinMaxPreprocessor):
        return {'preprocessing': 'min_max'}
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    if not (isinstance(mean, torch.Tensor) and isinstance(std, torch.Tensor)):
        return {}
    values = {'pixel_mean': mean, 'pixel_std': std}
    rounded = {name: [round(x, 4) for x in value.flatten().tolist()] for name, value in values.items()}
    return {'preprocessing': 'imagenet', **rounded}


def check_note(
    model: torch.nn.Module,
    meta: Any,
    *,
    source: str | os.PathLike[str],
    may_differ: Sequence[str] = (),
) -> None:
    """Compare what a checkpoint says about its weights with the model that is to take them.

    Args:
        model: The detector, or a parallel wrapper around it.
        meta: The ``meta`` entry of the checkpoint. Without a note of ours in it there is nothing to compare.
        source: Where the weights came from, for the message.
        may_differ: Entries of the note that need not agree, such as ``box_mask`` to fine-tune with another one.

    Raises:
        CheckpointError: An entry differs; the weights would load, and mean something else.
    """
    theirs, ours = note_of(meta, str(source)), note_of_model(model)
    differing = [
        f'{name} is {theirs[name]!r} in the checkpoint and {ours[name]!r} in the model'
        for name in _COMPARED
        if name in theirs and name in ours and name not in may_differ and not _agree(theirs[name], ours[name])
    ]
    if differing:
        raise CheckpointError(
            f'{source}: its weights fit, but were trained otherwise: {"; ".join(differing)}. Nothing was loaded. Set '
            'the model as the checkpoint says, or convert the checkpoint.'
        )


def _agree(left: Any, right: Any) -> bool:
    if not isinstance(right, list):
        return bool(left == right)
    if not isinstance(left, list | tuple) or len(left) != len(right):
        return False
    return all(
        isinstance(x, int | float) and math.isclose(x, y, rel_tol=_TOLERANCE)
        for x, y in zip(left, right, strict=True)
    )
