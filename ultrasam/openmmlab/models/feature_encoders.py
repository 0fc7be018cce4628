"""Image encoders for other tasks than prompted segmentation: SAM's encoder without its neck, one map a chosen layer."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.adapters import LoraImageEncoder, MedSaImageEncoder
from ultrasam.models.feature_pyramid import SimpleFeaturePyramid
from ultrasam.models.image_encoder import SamImageEncoder
from ultrasam.openmmlab.checkpoints.loader import safe_loading
from ultrasam.openmmlab.models.encoders import load_base

NECK = r'channel_reduction\..*'

MODELS.register_module(module=SimpleFeaturePyramid)


@MODELS.register_module()
class SamFeatureEncoder(SamImageEncoder, BaseModule):
    """The image encoder of SAM without its neck: the tokens of some layers, as maps.

    A checkpoint of a whole detector initialises it, ``init_cfg=dict(type='Pretrained', checkpoint=...,
    prefix='backbone.')``: every tensor of its own has to be there, that of the neck is left out.

    Args:
        out_indices: Layers whose tokens are returned, counted from 0; negative ones from the end.
        init_cfg: Initialisation config of MMEngine.
        **encoder: Arguments of :class:`SamImageEncoder` but for ``out_channels``.

    Raises:
        ConfigError: A layer that does not exist, or the options of the neck.
    """

    checkpoint_allow_unexpected = (NECK,)

    def __init__(
        self,
        *,
        out_indices: Sequence[int] = (-1,),
        init_cfg: dict | list[dict] | None = None,
        **encoder: Any,
    ) -> None:
        _refuse_neck_options(encoder)
        super().__init__(**encoder)
        self.init_cfg = copy.deepcopy(init_cfg)
        count = len(self.layers)
        if not out_indices or any(not -count <= index < count for index in out_indices):
            raise ConfigError(
                f'out_indices {tuple(out_indices)}: the encoder has the layers 0 to {count - 1}'
            )
        self.out_indices = tuple(sorted({index % count for index in out_indices}))
        self.out_channels = self.embed_dims
        self.channel_reduction = nn.Sequential()

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, and refuse a checkpoint that does not fit."""
        with safe_loading():
            super().init_weights()

    # one map a layer, where the encoder with a neck has one in all
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Encode images.

        Args:
            x: (B, in_channels, img_size, img_size), float, normalised and padded right and bottom.

        Returns:
            For each of ``out_indices`` a map (B, embed_dims, img_size / patch, img_size / patch).

        Raises:
            ConfigError: The input is not img_size x img_size.
        """
        return self.forward_intermediates(x, self.out_indices)


@MODELS.register_module()
class MedSaFeatureEncoder(MedSaImageEncoder, SamFeatureEncoder):
    """:class:`SamFeatureEncoder` with Medical SAM adapters.

    Args:
        **options: Those of :class:`MedSaImageEncoder` and of :class:`SamFeatureEncoder`.
    """


@MODELS.register_module()
class LoraFeatureEncoder(LoraImageEncoder):
    """The image encoder of SAM with LoRA and without its neck: the tokens of the last layer, as one map.

    Args:
        base_checkpoint: File of the base, read on construction; a neck in the file is left out.
        **options: Those of :class:`LoraImageEncoder` but for ``out_channels``.

    Raises:
        ConfigError: The options of the neck.
        CheckpointError: The base cannot be read or does not fit.
    """

    checkpoint_allow_unexpected = (NECK,)

    def __init__(self, *, base_checkpoint: str | Path | None = None, **options: Any) -> None:
        _refuse_neck_options(options)
        super().__init__(**options)
        self.module.channel_reduction = nn.Sequential()
        self.module.out_channels = self.module.embed_dims
        own = {f'module.{name}' for name in self.module.state_dict()}
        self._plain_names = {name: plain for name, plain in self._plain_names.items() if name in own}
        if base_checkpoint is not None:
            load_base(self, base_checkpoint)
            print_log(
                f'{type(self).__name__} adapts {base_checkpoint}: {len(self.base_names)} tensors match; its neck, '
                f'decoder and prompt encoder are left out, having no part in features; {len(self.adapter_names)} '
                'tensors of LoRA start anew',
                logger='current',
            )

    # a tuple of maps, as mmdet's and mmpretrain's backbones return
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Return the map of the last layer, see :meth:`SamFeatureEncoder.forward`."""
        return self.forward_intermediates(x, (len(self.module.layers) - 1,))


def _refuse_neck_options(options: dict[str, Any]) -> None:
    if 'out_channels' in options:
        raise ConfigError('out_channels: this encoder has no neck, and gives the width of its tokens')
