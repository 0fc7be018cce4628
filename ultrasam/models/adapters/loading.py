"""What an encoder with adapters does with checkpoints: a plain one is its base, one of adapters alone needs a base."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, MutableMapping

from torch import Tensor

from ultrasam.errors import CheckpointError


def all_or_none(names: Collection[str], weights: Mapping[str, Tensor], what: str) -> bool:
    """Whether weights hold every one of some names.

    Args:
        names: names that belong together.
        weights: name to tensor.
        what: what the names are, for the message.

    Raises:
        CheckpointError: some are there and some are not.
    """
    missing = [name for name in names if name not in weights]
    if missing and len(missing) < len(names):
        raise CheckpointError(
            f'a checkpoint holds {len(names) - len(missing)} of {len(names)} tensors of {what}; it lacks '
            f'{", ".join(missing[:3])}{", ..." if len(missing) > 3 else ""}: load a complete file'
        )
    return not missing


def complete(weights: MutableMapping[str, Tensor], own: Mapping[str, Tensor], prefix: str) -> None:
    """Add to weights, in place, the tensors that the model holds already, so that loading finds every name."""
    weights.update({prefix + name: tensor.detach() for name, tensor in own.items()})


def base_fingerprint(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, in sorted order, and the float32 values of an encoder without adapters.

    Args:
        weights: the encoder's tensors under the names of a plain checkpoint, without the prefix ``backbone.``.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
