"""LoRA: low-rank updates of linear layers of the image encoder (Hu et al. 2022).

Names in a state dict, under the prefix ``backbone.`` of a detector:

* ``module.<layer>.lora_down.weight`` (rank, inputs) and ``module.<layer>.lora_up.weight`` (outputs, rank) are the
  adapters of the linear layer ``<layer>``, such as ``layers.0.attn.qkv``; neither has a bias. Published files hold
  these, and of the encoder nothing else.
* the encoder that they adapt, the base, has the names of a plain checkpoint: ``layers.0.attn.qkv.weight``, ...

The adapted layer computes ``W x + b + (alpha / rank) up(down(x))``, so an encoder without adapters has
``W + (alpha / rank) up @ down`` in place of ``W``, and everything else as it was. Alpha is in no published file
(it is 16, as is the rank); ours note it under ``meta['ultrasam']['lora']``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, MutableMapping, Sequence
from typing import Any

from torch import Tensor, nn

from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.models.adapters.loading import all_or_none, base_fingerprint, complete
from ultrasam.models.image_encoder import SamImageEncoder


class LoraLinear(nn.Module):
    """A linear layer with a low-rank update, which starts at zero.

    Args:
        original_layer: the layer to adapt; it is kept and frozen.
        rank: width of the update.
        alpha: the update is scaled by ``alpha / rank``.
        dropout: probability of dropping an input of the update in training.
    """

    def __init__(self, original_layer: nn.Linear, *, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.scale = alpha / rank
        self.original_layer = original_layer
        self.lora_dropout = nn.Dropout(dropout)
        self.lora_down = nn.Linear(original_layer.in_features, rank, bias=False)
        self.lora_up = nn.Linear(rank, original_layer.out_features, bias=False)
        original_layer.requires_grad_(False)
        nn.init.kaiming_uniform_(self.lora_down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., in_features) to (..., out_features), float."""
        return self.original_layer(x) + self.scale * self.lora_up(self.lora_down(self.lora_dropout(x)))


class LoraImageEncoder(nn.Module):
    """The image encoder of SAM with LoRA: the encoder is frozen, the updates are trained.

    An adapted encoder means nothing without its base. A checkpoint of adapters is accepted only by an encoder that
    has its base; a plain checkpoint becomes the base, and its adapters are then expected, from another file or from
    training. The default values are the published ones.

    Args:
        rank: width of the updates.
        alpha: the updates are scaled by ``alpha / rank``.
        dropout: dropout of the updates in training.
        targets: ends of the names of the linear layers to adapt, such as ``'qkv'``, ``'proj'`` or
            ``'ffn.layers.1'``.
        **encoder: arguments of :class:`SamImageEncoder`.

    Raises:
        ConfigError: a rank or scale that is not positive, or a target that no linear layer has.
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 16,
        dropout: float = 0.1,
        targets: Sequence[str] = ('qkv',),
        **encoder: Any,
    ) -> None:
        super().__init__()
        if rank < 1 or alpha <= 0:
            raise ConfigError(f'LoRA of rank {rank} and alpha {alpha}: both are positive')
        self.rank, self.alpha, self.targets = rank, alpha, tuple(targets)
        self.module = SamImageEncoder(**encoder).requires_grad_(False)
        self._wrap(dropout)
        inner = {f'module.{name}' for name in self.module.state_dict()}
        self.adapter_names = tuple(sorted(name for name in inner if '.lora_' in name))
        self._plain_names = {
            name: name.removeprefix('module.').replace('.original_layer.', '.')
            for name in sorted(inner.difference(self.adapter_names))
        }
        self.has_base = False
        self.awaits_adapters = False
        self._register_state_dict_hook(_use_plain_names)

    def _wrap(self, dropout: float) -> None:
        for target in self.targets:
            found = {
                name: module
                for name, module in self.module.named_modules()
                if isinstance(module, nn.Linear) and f'.{name}'.endswith(f'.{target}')
            }
            if not found:
                raise ConfigError(
                    f'LoRA target {target!r}: no linear layer of the encoder is called so; '
                    'use "qkv", "proj", "ffn.layers.0.0" or "ffn.layers.1"'
                )
            for name, linear in found.items():
                parent, _, child = name.rpartition('.')
                adapted = LoraLinear(linear, rank=self.rank, alpha=self.alpha, dropout=dropout)
                setattr(self.module.get_submodule(parent), child, adapted)

    @property
    def img_size(self) -> int:
        """Side of the square, padded input in pixels."""
        return self.module.img_size

    @property
    def embed_dims(self) -> int:
        """Width of the tokens."""
        return self.module.embed_dims

    @property
    def out_channels(self) -> int:
        """Channels of the embedding."""
        return self.module.out_channels

    @property
    def base_names(self) -> tuple[str, ...]:
        """Names of the base's tensors, as in a plain checkpoint of an encoder."""
        return tuple(self._plain_names.values())

    @property
    def checkpoint_allow_missing(self) -> tuple[str, ...]:
        """What a checkpoint may lack: the adapters; and the base, if it is there already."""
        adapters = r'module\..*\.lora_(down|up)\.weight'
        return (adapters, r'(?!module\.).*') if self.has_base else (adapters,)

    def base_state_dict(self) -> dict[str, Tensor]:
        """The base's tensors under the names of a plain checkpoint of an encoder."""
        own = self.module.state_dict(prefix='module.')
        return {plain: own[inner] for inner, plain in self._plain_names.items()}

    def fingerprint(self) -> str:
        """Checksum of the base, see :func:`~ultrasam.models.adapters.base_fingerprint`."""
        return base_fingerprint(self.base_state_dict())

    def _load_from_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for inner, plain in self._plain_names.items():
            if prefix + plain in state_dict:
                state_dict[prefix + inner] = state_dict.pop(prefix + plain)
        own = self.module.state_dict(prefix='module.')
        base = {name: own[name] for name in self._plain_names}
        adapters = {name: own[name] for name in self.adapter_names}
        gives_base = all_or_none([prefix + name for name in base], state_dict, 'the encoder')
        gives_adapters = all_or_none([prefix + name for name in adapters], state_dict, 'the LoRA adapters')
        if gives_adapters and not gives_base:
            self._require_base('it was given a checkpoint of adapters')
            complete(state_dict, base, prefix)
        elif gives_base and not gives_adapters:
            complete(state_dict, adapters, prefix)
        self.has_base |= gives_base
        if gives_base or gives_adapters:
            self.awaits_adapters = not gives_adapters
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _require_base(self, occasion: str) -> None:
        if not self.has_base:
            raise CheckpointError(
                f'the encoder with LoRA has no base weights, and {occasion}: name the file of the model that the '
                'adapters were trained on (model.backbone.base_checkpoint), or load that model first'
            )

    def forward(self, x: Tensor) -> Tensor:
        """Encode images, see :meth:`SamImageEncoder.forward`; raises as :meth:`check_ready`."""
        self.check_ready()
        return self.module(x)

    def forward_with_tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`SamImageEncoder.forward_with_tokens`; raises as :meth:`check_ready`."""
        self.check_ready()
        return self.module.forward_with_tokens(x)

    def forward_intermediates(self, x: Tensor, indices: Collection[int]) -> tuple[Tensor, ...]:
        """See :meth:`SamImageEncoder.forward_intermediates`; raises as :meth:`check_ready`."""
        self.check_ready()
        return self.module.forward_intermediates(x, indices)

    def check_ready(self) -> None:
        """Check that there is something to encode with.

        Raises:
            CheckpointError: The base was never loaded; or it was, the adapters were not, and this is not training.
        """
        self._require_base('it was given an image')
        self.awaits_adapters &= not self.training
        if self.awaits_adapters:
            raise CheckpointError(
                'the encoder with LoRA has its base, but neither loaded nor trained adapters: load a checkpoint of '
                'them, or evaluate the base with a config without LoRA'
            )


def _use_plain_names(
    encoder: LoraImageEncoder, state_dict: MutableMapping[str, Tensor], prefix: str, _metadata: Any
) -> None:
    """State dict hook: the base goes by the names of a plain checkpoint, in the order of the modules."""
    for name in [name for name in state_dict if name.startswith(f'{prefix}module.')]:
        tensor = state_dict.pop(name)
        state_dict[
            prefix + encoder._plain_names.get(name.removeprefix(prefix), name.removeprefix(prefix))
        ] = tensor
