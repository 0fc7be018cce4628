"""Image classifiers, registered with mmpretrain: the model, and a ViT that is averaged over its tokens."""

from __future__ import annotations

import math
from collections.abc import MutableMapping
from typing import Any

from mmpretrain.models import ImageClassifier, VisionTransformer
from mmpretrain.registry import MODELS
from torch import Tensor

from ultrasam.openmmlab.checkpoints.loader import safe_loading
from ultrasam.openmmlab.models.feature_encoders import (
    LoraFeatureEncoder,
    MedSaFeatureEncoder,
    SamFeatureEncoder,
)

for _encoder in (SamFeatureEncoder, LoraFeatureEncoder, MedSaFeatureEncoder):
    MODELS.register_module(module=_encoder, force=True)


@MODELS.register_module()
class UltraSamClassifier(ImageClassifier):
    """mmpretrain's ``ImageClassifier``, which tells what a checkpoint may lack: adapters, or the base they adapt.

    Args:
        **model: those of ``ImageClassifier``.
    """

    @property
    def checkpoint_allow_missing(self) -> tuple[str, ...]:
        """What a checkpoint may lack, see the encoder."""
        return tuple(
            rf'backbone\.{pattern}' for pattern in getattr(self.backbone, 'checkpoint_allow_missing', ())
        )

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, and refuse checkpoints that do not fit."""
        with safe_loading():
            super().init_weights()


@MODELS.register_module()
class MeanTokenVisionTransformer(VisionTransformer):
    """mmpretrain's ``VisionTransformer`` without class token, averaged over its tokens.

    Takes checkpoints of a ViT with a class token, which is left out, and of another image size, whose positions are
    interpolated. The LayerNorm behind the mean is new.

    Args:
        **options: those of ``VisionTransformer`` but for ``out_type`` and ``with_cls_token``.
    """

    checkpoint_allow_missing = (r'ln2\..*',)
    checkpoint_allow_unexpected = ('cls_token',)

    def __init__(self, **options: Any) -> None:
        super().__init__(out_type='avg_featmap', with_cls_token=False, **options)

    def _prepare_pos_embed(self, state_dict: MutableMapping[str, Tensor], prefix: str, *args: Any) -> None:
        name = f'{prefix}pos_embed'
        count = state_dict[name].shape[1] if name in state_dict else 0
        # the stock class drops the row of the class token only where the image size is the same
        if count and not _is_square(count) and _is_square(count - 1):
            state_dict[name] = state_dict[name][:, 1:]
        super()._prepare_pos_embed(state_dict, prefix, *args)


def _is_square(count: int) -> bool:
    return math.isqrt(count) ** 2 == count
