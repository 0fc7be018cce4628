"""Foreign weights: one table of names a source, and the engine that applies it to our names and back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor

from ultrasam.checkpoints.sources.kinds import KINDS, Kind, kind_of
from ultrasam.checkpoints.sources.names import KeyAccount, NameTable
from ultrasam.checkpoints.sources.profiles import PROFILES, Profile
from ultrasam.errors import CheckpointError

SOURCES: dict[str, NameTable] = {kind.names.name: kind.names for kind in KINDS if kind.names is not None}
"""By name: ``'segment-anything'``, ``'transformers'``, ``'vit-sam'``."""


def from_source(
    state_dict: Mapping[str, Tensor], name: str, *, source: str = 'the weights'
) -> OrderedDict[str, Tensor]:
    """Give foreign weights our names. They are for a decoder with ``mlp_skip='single'``.

    Args:
        state_dict: flat, under the names of the source.
        name: of the source, one of :data:`SOURCES`.
        source: where they came from, for messages.

    Raises:
        CheckpointError: an unknown source; a name unknown to it; packed tensors that are incomplete or misshapen.
    """
    return table_of(name).to_ours(state_dict, source)[0]


def to_source(
    state_dict: Mapping[str, Tensor], name: str, *, source: str = 'the weights'
) -> OrderedDict[str, Tensor]:
    """Give our weights the names of a source; undoes :func:`from_source` bit for bit.

    Every source computes with a single skip in the decoder. Weights for a doubled one must be folded first:
    :func:`ultrasam.checkpoints.folding.fold_doubled_skip`.

    Args:
        state_dict: flat, under our names.
        name: of the source, one of :data:`SOURCES`.
        source: where they came from, for messages.

    Raises:
        CheckpointError: an unknown source, or a tensor that it has no name for.
    """
    return table_of(name).from_ours(state_dict, source)[0]


def table_of(name: str) -> NameTable:
    """The names of a source.

    Raises:
        CheckpointError: an unknown source.
    """
    if name not in SOURCES:
        raise CheckpointError(f'no names are known for {name!r}: use one of {", ".join(SOURCES)}')
    return SOURCES[name]


__all__ = [
    'KINDS',
    'PROFILES',
    'SOURCES',
    'KeyAccount',
    'Kind',
    'NameTable',
    'Profile',
    'from_source',
    'kind_of',
    'table_of',
    'to_source',
]
