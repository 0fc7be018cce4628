"""The doubled skip of the mask decoder, folded into its weights.

The published decoder computes LN(2q + MLP(q)), segment-anything LN(q + MLP(q)). A layer normalisation does not see
the scale of its input, so LN(2q + MLP(q)) = LN(q + MLP(q) / 2): with the last linear layer of each MLP halved, a
decoder with the single skip computes what one with the doubled skip did. Halving a float is exact; what differs is
the epsilon of the normalisation, which then counts four times as much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor

from ultrasam.checkpoints.sources.names import template_pattern
from ultrasam.errors import CheckpointError

_LAST_LINEAR = template_pattern('decoder.layers.{i}.mlp.layers.1.{p}')


def fold_doubled_skip(state_dict: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Weights for ``mlp_skip='single'`` from those for ``'doubled'``.

    Args:
        state_dict: under our names.

    Returns:
        A copy in which the last linear layer of each decoder MLP is halved; the other tensors are shared.

    Raises:
        CheckpointError: there is no decoder in it.
    """
    return _scaled(state_dict, 0.5)


def unfold_doubled_skip(state_dict: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Weights for ``mlp_skip='doubled'`` from those for ``'single'``; see :func:`fold_doubled_skip`."""
    return _scaled(state_dict, 2.0)


def _scaled(state_dict: Mapping[str, Tensor], factor: float) -> OrderedDict[str, Tensor]:
    if not any(_LAST_LINEAR.fullmatch(name) for name in state_dict):
        raise CheckpointError(
            'no decoder of UltraSam among these weights, so no skip to fold: convert them first'
        )
    return OrderedDict(
        (name, tensor * factor if _LAST_LINEAR.fullmatch(name) else tensor)
        for name, tensor in state_dict.items()
    )
