"""Low-rank adapters merged into the weights that they adapt, from names alone.

An adapted layer ``X`` is saved as ``X.lora_down.weight`` (rank, in) and ``X.lora_up.weight`` (out, rank), with
``backbone.module.`` in place of ``backbone.`` (LoRAModel of mmpretrain). It computes W x + (alpha / rank) up down x,
so merging adds (alpha / rank) up down to W. The wrapped layer itself may be in the file as ``X.original_layer``.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ultrasam.checkpoints.sources.names import some
from ultrasam.errors import CheckpointError, ConfigError

DEFAULT_ALPHA = 16.0
"""Of the published configs, whose rank is 16 too; files do not hold it."""

_HALF = re.compile(r'(.+)\.lora_(down|up)\.weight')
# what an image classifier has no use for
_PROMPTABLE_ONLY = ('backbone.channel_reduction.', 'decoder.', 'bbox_head.', 'prompt_encoder.')


@dataclass(frozen=True, kw_only=True)
class LoraMerge:
    """Merged weights and where they are from.

    Args:
        weights: under our names.
        rank: of the adapters.
        alpha: numerator of their scale.
        adapted: names of the weights that adapters were added to.
        replaced: names taken from the file of the adapters, other than adapters.
        kept: names taken from the base as they are.
        left_out: names of the base that the merged model has no use for.
    """

    weights: OrderedDict[str, Tensor]
    rank: int
    alpha: float
    adapted: tuple[str, ...]
    replaced: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def message(self) -> str:
        """The account in one line."""
        return (
            f'rank {self.rank}, alpha {self.alpha:g}: {len(self.adapted)} weights adapted, {len(self.replaced)} taken '
            f'from the file of the adapters, {len(self.kept)} from the base, {len(self.left_out)} left out'
        )


def plain_name(name: str) -> str:
    """The name of a tensor without the wrapper around the encoder."""
    return re.sub(r'^backbone\.module\.', 'backbone.', name).replace('.original_layer.', '.')


def merge_lora(
    base: Mapping[str, Tensor],
    adapters: Mapping[str, Tensor],
    *,
    alpha: float = DEFAULT_ALPHA,
    source: str = 'the adapters',
) -> LoraMerge:
    """Add low-rank adapters to the weights that they adapt.

    Everything else in the file of the adapters (the decoder, a classification head) replaces what the base has
    under the same name. A file with a classification head gives a classifier, without the parts of the base that
    answer prompts.

    Args:
        base: the weights that the adapters were trained on, under our names.
        adapters: as they were saved.
        alpha: numerator of the scale alpha / rank.
        source: where the adapters came from, for messages.

    Returns:
        The merged weights and the account of every name.

    Raises:
        CheckpointError: no adapters, halves of them, shapes that do not fit, or names that the base lacks.
        ConfigError: an alpha that is no positive number.
    """
    if not 0 < alpha < math.inf:
        raise ConfigError(f'alpha {alpha:g} of the adapters: give a positive number, that of their training')
    pairs = _pairs(adapters, source)
    ranks = {pair['down'].shape[0] for pair in pairs.values()}
    if len(ranks) > 1:
        raise CheckpointError(
            f'{source}: adapters of several ranks {sorted(ranks)}, but one alpha for all of them'
        )
    rank = ranks.pop()
    others = OrderedDict(
        (plain_name(name), tensor) for name, tensor in adapters.items() if not _HALF.fullmatch(name)
    )
    left_out: tuple[str, ...] = ()
    if any(name.startswith('head.') for name in others):
        left_out = tuple(name for name in base if name.startswith(_PROMPTABLE_ONLY) and name not in others)
        base = {name: tensor for name, tensor in base.items() if name not in set(left_out)}
    _check_targets(base, pairs, others, source)
    weights = OrderedDict(base)
    weights.update(others)
    for layer, pair in pairs.items():
        weight = weights[f'{layer}.weight']
        delta = pair['up'].double() @ pair['down'].double()
        weights[f'{layer}.weight'] = (weight.double() + (alpha / rank) * delta).to(weight.dtype)
    adapted = tuple(f'{layer}.weight' for layer in pairs)
    return LoraMerge(
        weights=weights,
        rank=rank,
        alpha=alpha,
        adapted=adapted,
        replaced=tuple(others),
        kept=tuple(name for name in base if name not in others and name not in set(adapted)),
        left_out=left_out,
    )


def _pairs(adapters: Mapping[str, Tensor], source: str) -> dict[str, dict[str, Tensor]]:
    """The two halves of each adapter, by the name of the layer."""
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in adapters.items():
        match = _HALF.fullmatch(name)
        if match:
            pairs.setdefault(plain_name(match[1]), {})[match[2]] = tensor
    halves = [layer for layer, pair in pairs.items() if len(pair) < 2]
    misshapen = [
        layer
        for layer, pair in pairs.items()
        if len(pair) == 2
        and not (pair['down'].dim() == pair['up'].dim() == 2 and pair['down'].shape[0] == pair['up'].shape[1])
    ]
    if not pairs or halves or misshapen:
        raise CheckpointError(
            f'{source}: {len(pairs)} adapters (tensors .lora_down.weight and .lora_up.weight), {len(halves)} of them '
            f'half ({some(halves)}), {len(misshapen)} with halves that do not fit each other ({some(misshapen)})'
        )
    return pairs


def _check_targets(
    base: Mapping[str, Tensor],
    pairs: Mapping[str, Mapping[str, Tensor]],
    others: Mapping[str, Tensor],
    source: str,
) -> None:
    """See that what the adapters adapt and replace is there and has the right shape."""
    known = {
        **base,
        **{name: tensor for name, tensor in others.items() if name.startswith(('backbone.', 'head.'))},
    }
    missing = [f'{layer}.weight' for layer in pairs if f'{layer}.weight' not in known]
    missing += [name for name in others if name not in known]
    misshapen = [name for name, tensor in others.items() if name in base and tensor.shape != base[name].shape]
    for layer, pair in pairs.items():
        weight = known.get(f'{layer}.weight')
        if weight is not None and tuple(weight.shape) != (pair['up'].shape[0], pair['down'].shape[1]):
            misshapen.append(f'{layer}.weight')
    if missing or misshapen:
        raise CheckpointError(
            f'{source}: does not fit its base: {len(missing)} names that the base lacks'
            f'{f" ({some(missing)})" if missing else ""}, {len(misshapen)} of another shape'
            f'{f" ({some(misshapen)})" if misshapen else ""}. Give the weights that it was trained on.'
        )
