"""Image encoders for other tasks than prompted segmentation: SAM's encoder without its neck, one map a chosen layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.adapters import LoraImageEncoder, MedSaImageEncoder
from ultrasam.models.image_encoder import SamImageEncoder

NECK = r'channel_reduction\..*'


@MODELS.register_module()
class SamFeatureEncoder(SamImageEncoder):
    """The image encoder of SAM without its neck: the tokens of some layers, as maps.

    A checkpoint of a whole detector initialises it, ``init_cfg=dict(type='Pretrained', checkpoint=...,
    prefix='backbone.')``: every tensor of its own has to be there, that of the neck is left out.

    Args:
        out_indices: layers whose tokens are returned, counted from 0; negative ones from the end.
        **encoder: arguments of :class:`SamImageEncoder` but for ``out_channels``.

    Raises:
        ConfigError: a layer that there is not, or the options of the neck.
    """

    checkpoint_allow_unexpected = (NECK,)

    def __init__(self, *, out_indices: Sequence[int] = (-1,), **encoder: Any) -> None:
        if 'out_channels' in encoder:
            raise ConfigError('out_channels: this encoder has no neck, and gives the width of its tokens')
        super().__init__(**encoder)
        count = len(self.layers)
        if not out_indices or any(not -count <= index < count for index in out_indices):
            raise ConfigError(
                f'out_indices {tuple(out_indices)}: the encoder has the layers 0 to {count - 1}'
            )
        self.out_indices = tuple(sorted({index % count for index in out_indices}))
        self.out_channels = self.pos_embed.shape[-1]
        self.channel_reduction = nn.Sequential()

    # one map a layer, where the encoder with a neck has one in all
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Encode images.

        Args:
            x: (B, in_channels, img_size, img_size), float, normalised and padded right and bottom.

        Returns:
            For each of ``out_indices`` a map (B, embed_dims, img_size / patch, img_size / patch).

        Raises:
            ConfigError: the input is not img_size x img_size.
        """
        maps: list[Tensor] = []

        def keep(_layer: nn.Module, _inputs: Any, tokens: Tensor) -> None:
            maps.append(tokens.permute(0, 3, 1, 2))

        hooks = [self.layers[index].register_forward_hook(keep) for index in self.out_indices]
        try:
            super().forward(x)
        finally:
            for hook in hooks:
                hook.remove()
        return tuple(maps)


@MODELS.register_module()
class MedSaFeatureEncoder(MedSaImageEncoder, SamFeatureEncoder):
    """:class:`SamFeatureEncoder` with Medical SAM adapters.

    Args:
        **options: those of :class:`MedSaImageEncoder` and of :class:`SamFeatureEncoder`.
    """


@MODELS.register_module()
class LoraFeatureEncoder(LoraImageEncoder):
    """The image encoder of SAM with LoRA and without its neck: the tokens of the last layer, as one map.

    Args:
        base_checkpoint: as for :class:`LoraImageEncoder`; a neck in the file is left out.
        **options: those of :class:`LoraImageEncoder` but for ``out_channels``.

    Raises:
        ConfigError: the options of the neck.
        CheckpointError: the base cannot be read or does not fit.
    """

    checkpoint_allow_unexpected = (NECK,)

    def __init__(self, *, base_checkpoint: str | Path | None = None, **options: Any) -> None:
        if 'out_channels' in options:
            raise ConfigError('out_channels: this encoder has no neck, and gives the width of its tokens')
        super().__init__(**options)
        self.module.channel_reduction = nn.Sequential()
        self.module.out_channels = self.module.pos_embed.shape[-1]
        own = {f'module.{name}' for name in self.module.state_dict()}
        self._plain_names = {name: plain for name, plain in self._plain_names.items() if name in own}
        if base_checkpoint is not None:
            self.load_base(base_checkpoint)

    def load_base(self, path: str | Path) -> None:
        """Read the base, and log the account."""
        super().load_base(path)
        print_log(
            f'{type(self).__name__} adapts {path}: {len(self.base_names)} tensors match; its neck, decoder and '
            f'prompt encoder are left out, having no part in features; {len(self.adapter_names)} tensors of LoRA '
            'start anew',
            logger='current',
        )
