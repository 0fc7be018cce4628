"""Model cards in OpenMMLab: the config of a card, the note of a detector, and whether the two agree.

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

from ultrasam.checkpoints.model_card import ModelCard, note_of, note_of_settings
from ultrasam.errors import CheckpointError
from ultrasam.models.ultrasam import UltraSam
from ultrasam.openmmlab.models.preprocessing import MinMaxPreprocessor

_COMPARED = ('mlp_skip', 'box_mask', 'preprocessing', 'pixel_mean', 'pixel_std', 'class_activation')
_TOLERANCE = 1e-3


def detector_config(card: ModelCard) -> dict[str, Any]:
    """Return the config of the detector for inference, to be built with mmdet's ``MODELS``."""
    return dict(
        type='PromptedClassifier' if card.num_classes else 'UltraSam',
        num_refinements=int(card.refines),
        inference_refinements=card.inference_refinements,
        point_refinement=card.point_refinement,
        data_preprocessor=_preprocessor_config(card),
        backbone=dict(type='SamImageEncoder', **card.encoder_options()),
        prompt_encoder=dict(
            type='SamPromptEncoder',
            img_size=card.img_size,
            patch_size=card.patch_size,
            box_mask=card.box_mask,
        ),
        decoder=dict(type='SamTwoWayTransformer', mlp_skip=card.mlp_skip),
        bbox_head=_head_config(card),
    )


def _head_config(card: ModelCard) -> dict[str, Any]:
    if not card.num_classes:
        return dict(type='SamMaskHead')
    return dict(
        type='SamClassificationHead',
        num_classes=card.num_classes,
        activation=card.class_activation,
        image_dims=card.arch['embed_dims'],
    )


def _preprocessor_config(card: ModelCard) -> dict[str, Any]:
    common = dict(bgr_to_rgb=True, pad_size_divisor=card.img_size)
    if card.preprocessing == 'min_max':
        return dict(type='MinMaxPreprocessor', **common)
    return dict(type='DetDataPreprocessor', mean=list(card.pixel_mean), std=list(card.pixel_std), **common)


def note_of_model(model: torch.nn.Module) -> dict[str, Any]:
    """What a model is beyond its weights, as plain values; empty for one that is no UltraSam.

    Args:
        model: The detector, or a parallel wrapper around it.
    """
    bare = model.module if is_model_wrapper(model) else model
    plain = getattr(bare, 'model', None)
    if not isinstance(plain, UltraSam):
        return {}
    known: dict[str, Any] = {
        'mlp_skip': getattr(plain.mask_decoder.transformer, 'mlp_skip', None),
        'box_mask': getattr(plain.prompt_encoder, 'box_mask', None),
    }
    if None in known.values():
        # a decoder or prompt encoder of one's own, which the note has no words for
        return {}
    return note_of_settings(
        **known,
        point_refinement=plain.point_refinement,
        inference_refinements=plain.refinements,
        class_activation=getattr(plain.mask_decoder, 'activation', None),
        **_preprocessing(getattr(bare, 'data_preprocessor', None)),
    )


def _preprocessing(preprocessor: Any) -> dict[str, Any]:
    if isinstance(preprocessor, MinMaxPreprocessor):
        return {'preprocessing': 'min_max'}
    mean, std = (getattr(preprocessor, name, None) for name in ('mean', 'std'))
    if not (isinstance(mean, torch.Tensor) and isinstance(std, torch.Tensor)):
        return {'preprocessing': None}
    values = {'pixel_mean': mean.flatten().tolist(), 'pixel_std': std.flatten().tolist()}
    return {'preprocessing': 'imagenet', **values}


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
