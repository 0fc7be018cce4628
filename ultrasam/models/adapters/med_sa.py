"""Medical SAM adapters: two bottleneck MLPs in every layer of the image encoder (Wu et al. 2023).

Names in a state dict: those of the plain encoder, and in each layer ``space_adapter.layers.0.0``,
``space_adapter.layers.1``, ``mlp_adapter.layers.0.0`` and ``mlp_adapter.layers.1``, each ``weight`` and ``bias``.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.models.adapters.loading import all_or_none, complete
from ultrasam.models.image_encoder import EncoderLayer, SamImageEncoder
from ultrasam.models.layers import FeedForward


class MedSaLayer(EncoderLayer):
    """A layer of the encoder with an adapter after its attention and one beside its feed-forward part.

    Args:
        embed_dims: width of the tokens.
        adapter_ratio: hidden width of the adapters over ``embed_dims``.
        adapter_scale: factor of the adapter beside the feed-forward part.
        **sizes: further arguments of :class:`EncoderLayer`.

    Raises:
        ConfigError: adapters without hidden units.
    """

    def __init__(self, *, embed_dims: int, adapter_ratio: float, adapter_scale: float, **sizes: Any) -> None:
        super().__init__(embed_dims=embed_dims, **sizes)
        self.adapter_scale = adapter_scale
        hidden = int(adapter_ratio * embed_dims)
        if hidden < 1:
            raise ConfigError(f'adapter_ratio {adapter_ratio}: leaves no hidden unit of {embed_dims}')
        self.space_adapter = FeedForward(embed_dims, hidden, nn.GELU())
        self.mlp_adapter = FeedForward(embed_dims, hidden, nn.GELU())

    def reset_adapters(self, *, zero: bool) -> None:
        """Initialise the adapters: as torch does a linear layer, or so that they change nothing."""
        for adapter in (self.space_adapter, self.mlp_adapter):
            down, up = (module for module in adapter.modules() if isinstance(module, nn.Linear))
            down.reset_parameters()
            up.reset_parameters()
            if zero:
                nn.init.zeros_(up.weight)
                nn.init.zeros_(up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform x (B, H, W, embed_dims), float; same shape out."""
        attended = self.attn(self.ln1(x))
        x = x + attended + self.space_adapter(attended)
        normalised = self.ln2(x)
        return x + self.ffn(normalised) + self.adapter_scale * self.mlp_adapter(normalised)


class MedSaImageEncoder(SamImageEncoder):
    """The image encoder of SAM with Medical SAM adapters. The default values are the published ones.

    A checkpoint without adapters is accepted as a base to train on, and only for that: fresh adapters change
    what the encoder computes.

    Args:
        adapter_ratio: hidden width of the adapters over the width of the tokens.
        adapter_scale: factor of the adapter beside the feed-forward part.
        zero_init: start with adapters that change nothing, rather than with random ones as published.
        frozen_stages: layers, counted from the input, of which the adapters alone are trained; with any, the
            patch and position embedding are frozen too, and with all, the neck.
        **encoder: arguments of :class:`SamImageEncoder`.

    Raises:
        ConfigError: adapters without width, or more frozen layers than there are.
    """

    checkpoint_allow_missing = (r'layers\.\d+\.(space|mlp)_adapter\..*',)

    def __init__(
        self,
        *,
        adapter_ratio: float = 0.25,
        adapter_scale: float = 0.5,
        zero_init: bool = False,
        frozen_stages: int = 11,
        **encoder: Any,
    ) -> None:
        super().__init__(
            make_layer=partial(MedSaLayer, adapter_ratio=adapter_ratio, adapter_scale=adapter_scale),
            **encoder,
        )
        if not 0 <= frozen_stages <= len(self.layers):
            raise ConfigError(f'frozen_stages {frozen_stages}: the encoder has {len(self.layers)} layers')
        self.adapter_names = tuple(name for name in self.state_dict() if '_adapter.' in name)
        self.awaits_adapters = False
        # the encoder has just initialised all its linear layers alike
        for module in self.modules():
            if isinstance(module, MedSaLayer):
                module.reset_adapters(zero=zero_init)
        self._freeze(frozen_stages)

    def _freeze(self, stages: int) -> None:
        if not stages:
            return
        self.pos_embed.requires_grad_(False)
        self.patch_embed.requires_grad_(False)
        for layer in self.layers[:stages]:
            for name, parameter in layer.named_parameters():
                parameter.requires_grad_('_adapter.' in name)
        if stages == len(self.layers):
            self.channel_reduction.requires_grad_(False)

    def _load_from_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        own = self.state_dict()
        gives_adapters = all_or_none(
            [prefix + name for name in self.adapter_names], state_dict, 'the Medical SAM adapters'
        )
        if gives_adapters:
            self.awaits_adapters = False
        elif f'{prefix}pos_embed' in state_dict:
            self.awaits_adapters = True
            complete(state_dict, {name: own[name] for name in self.adapter_names}, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def forward_intermediates(self, x: Tensor, indices: Collection[int]) -> tuple[Tensor, ...]:
        """Return tokens, as :meth:`SamImageEncoder.forward_intermediates` does.

        Raises:
            CheckpointError: A checkpoint without adapters was loaded, and this is not training.
        """
        self.awaits_adapters &= not self.training
        if self.awaits_adapters:
            raise CheckpointError(
                'the checkpoint holds the encoder but none of its Medical SAM adapters, which would stay random: '
                'load one that has them, or evaluate it with a config without adapters'
            )
        return super().forward_intermediates(x, indices)
