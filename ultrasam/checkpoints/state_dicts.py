"""From a checkpoint into a model: unwrap, compare names and shapes, refuse what does not fit."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ultrasam.errors import CheckpointError

_WRAPPERS = ('state_dict', 'model')
_PARALLEL_PREFIX = 'module.'
# Counters that torch itself creates when they are absent; files from before torch 0.4.1 lack them.
_ALWAYS_MAY_MISS = (r'(.*\.)?num_batches_tracked',)
_SHOWN = 5


def state_dict_of(
    checkpoint: Mapping[str, Any], path: str | os.PathLike[str]
) -> OrderedDict[str, torch.Tensor]:
    """Find the named tensors of a checkpoint.

    They are under ``state_dict`` (MMEngine), under ``model``, or are the checkpoint itself. A prefix
    ``module.`` (left by a parallel wrapper) is removed if every name has it.

    Args:
        checkpoint: What :func:`~ultrasam.checkpoints.load_checkpoint_file` returned.
        path: Where it came from, for the messages.

    Returns:
        Name to tensor, in the order of the file.

    Raises:
        CheckpointError: There are no tensors, or some entries are no tensors.
    """
    weights: Any = checkpoint
    for wrapper in _WRAPPERS:
        if wrapper in checkpoint and not isinstance(checkpoint[wrapper], torch.Tensor):
            weights = checkpoint[wrapper]
            break
    if not isinstance(weights, Mapping) or not weights:
        raise CheckpointError(f'{path}: holds no weights (top level: {_some(map(str, checkpoint))}).')
    strange = [str(name) for name, value in weights.items() if not _is_named_tensor(name, value)]
    if strange:
        raise CheckpointError(
            f'{path}: {len(strange)} of {len(weights)} entries are not named tensors ({_some(strange)}). '
            'Weights are looked for under "state_dict", under "model" and at the top level.'
        )
    prefix = _PARALLEL_PREFIX if all(name.startswith(_PARALLEL_PREFIX) for name in weights) else ''
    named = OrderedDict((name.removeprefix(prefix), value) for name, value in weights.items())
    versions = getattr(weights, '_metadata', None)
    if isinstance(versions, Mapping):
        named._metadata = OrderedDict(  # type: ignore[attr-defined]
            (name.removeprefix(prefix), value) for name, value in versions.items()
        )
    return named


def _is_named_tensor(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ', '.join(every[:_SHOWN]) + (', ...' if len(every) > _SHOWN else '')


def check_finite(state_dict: Mapping[str, torch.Tensor], path: str | os.PathLike[str]) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        state_dict: Name to tensor; tensors of whole numbers are passed over.
        path: Where they came from, for the message.

    Raises:
        CheckpointError: Some value is not finite.
    """
    broken = [name for name, tensor in state_dict.items() if _has_nonfinite(tensor)]
    if broken:
        raise CheckpointError(
            f'{path}: {len(broken)} of {len(state_dict)} tensors hold NaN or infinite values '
            f'({_some(broken)}). The training that wrote it diverged; use an earlier checkpoint.'
        )


def _has_nonfinite(tensor: torch.Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return False
    return not bool(torch.isfinite(tensor.detach()).all())


@dataclass(frozen=True, kw_only=True)
class KeyReport:
    """How the names and shapes of a checkpoint fit a model.

    Attributes:
        matched: Number of tensors with the name and shape that the model wants.
        missing: Names that the model wants and the checkpoint lacks.
        unexpected: Names that the model does not have.
        misshapen: Name, shape in the checkpoint, shape in the model.
        tolerated_missing: Missing names that were declared to be allowed.
        tolerated_unexpected: Unexpected names that were declared to be allowed.
        mistyped: Name, type in the checkpoint, type in the model, where one holds real numbers and the other
            does not.
    """

    matched: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    tolerated_missing: tuple[str, ...] = ()
    tolerated_unexpected: tuple[str, ...] = ()
    mistyped: tuple[tuple[str, str, str], ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing is amiss but what is allowed."""
        return self.matched > 0 and not (self.missing or self.unexpected or self.misshapen or self.mistyped)

    @property
    def message(self) -> str:
        """Counts and first names, in one line."""
        shapes = [f'{name} {list(found)} instead of {list(wanted)}' for name, found, wanted in self.misshapen]
        types = [f'{name} {found} instead of {wanted}' for name, found, wanted in self.mistyped]
        groups = (
            (self.missing, 'missing', self.missing),
            (self.unexpected, 'unexpected', self.unexpected),
            (self.misshapen, 'of another shape', shapes),
            (self.mistyped, 'of another type', types),
            (self.tolerated_missing, 'missing as allowed', self.tolerated_missing),
            (self.tolerated_unexpected, 'unexpected as allowed', self.tolerated_unexpected),
        )
        parts = [f'{self.matched} tensors match']
        parts += [f'{len(group)} {word} ({_some(names)})' for group, word, names in groups if group]
        return '; '.join(parts)


def compare_keys(
    model_shapes: Mapping[str, Sequence[int]],
    state_dict: Mapping[str, torch.Tensor],
    *,
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> KeyReport:
    """Compare the names and shapes of a checkpoint with those of a model.

    Args:
        model_shapes: Name to shape, as the model wants them.
        state_dict: Name to tensor, as the checkpoint has them.
        allow_missing: Regular expressions; a missing name that one of them matches in full is tolerated.
        allow_unexpected: The same for unexpected names.
    """
    missing = [name for name in model_shapes if name not in state_dict]
    unexpected = [name for name in state_dict if name not in model_shapes]
    shared = [
        (name, tuple(state_dict[name].shape), tuple(model_shapes[name]))
        for name in model_shapes
        if name in state_dict
    ]
    misshapen = tuple(entry for entry in shared if entry[1] != entry[2])
    may_miss, may_exceed = (*_ALWAYS_MAY_MISS, *allow_missing), tuple(allow_unexpected)
    return KeyReport(
        matched=len(shared) - len(misshapen),
        missing=tuple(name for name in missing if not matches(name, may_miss)),
        unexpected=tuple(name for name in unexpected if not matches(name, may_exceed)),
        misshapen=misshapen,
        tolerated_missing=tuple(name for name in missing if matches(name, may_miss)),
        tolerated_unexpected=tuple(name for name in unexpected if matches(name, may_exceed)),
    )


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether one of the regular expressions matches the whole name."""
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def may_be_missing(name: str, allowed: Iterable[str]) -> bool:
    """Tell whether a name may be missing: one of those allowed, or a counter that torch makes itself."""
    return matches(name, (*_ALWAYS_MAY_MISS, *allowed))


def mistyped_of(
    model: Mapping[str, Any], state_dict: Mapping[str, torch.Tensor]
) -> tuple[tuple[str, str, str], ...]:
    """Names whose types differ in kind, with both types, as in :class:`KeyReport`.

    Copying casts whole numbers to real ones and back in silence; half precision and its like are welcome.

    Args:
        model: Name to tensor of the model.
        state_dict: Name to tensor of the checkpoint.
    """
    pairs = [(name, state_dict[name].dtype, model[name].dtype) for name in model if name in state_dict]
    return tuple(
        (name, str(found), str(wanted))
        for name, found, wanted in pairs
        if (found.is_floating_point, found.is_complex) != (wanted.is_floating_point, wanted.is_complex)
    )


def check_fit(
    model: torch.nn.Module,
    state_dict: Mapping[str, torch.Tensor],
    *,
    source: str | os.PathLike[str],
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> KeyReport:
    """Check that weights fit a model and are finite, without loading them.

    A model may declare allowances of its own: attributes ``checkpoint_allow_missing`` and
    ``checkpoint_allow_unexpected``, each a tuple of regular expressions that match whole names.

    Args:
        model: The model, or a parallel wrapper around it.
        state_dict: Name to tensor.
        source: Where the weights came from, for the messages.
        allow_missing: Regular expressions of names that may be missing.
        allow_unexpected: Regular expressions of names that may be too many.

    Raises:
        CheckpointError: A name is missing or unexpected, a shape or type differs, or a value is not finite.
    """
    bare = _unwrapped(model)
    wanted = {name: value for name, value in bare.state_dict().items() if isinstance(value, torch.Tensor)}
    report = compare_keys(
        {name: tensor.shape for name, tensor in wanted.items()},
        state_dict,
        allow_missing=(*getattr(bare, 'checkpoint_allow_missing', ()), *allow_missing),
        allow_unexpected=(*getattr(bare, 'checkpoint_allow_unexpected', ()), *allow_unexpected),
    )
    report = replace(report, mistyped=mistyped_of(wanted, state_dict))
    if not report.fits:
        raise CheckpointError(
            f'{source}: does not fit {type(bare).__name__}: {report.message}. Nothing was loaded. '
            'Use the config that the checkpoint was trained with, or convert the checkpoint first.'
        )
    check_finite(state_dict, source)
    return report


def _unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    # the wrappers of MMEngine are of these classes
    wrapped = isinstance(model, DataParallel | DistributedDataParallel)
    inner: Any = model.module if wrapped else model
    return inner


def load_strict(
    model: torch.nn.Module,
    state_dict: Mapping[str, torch.Tensor],
    *,
    source: str | os.PathLike[str],
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
) -> KeyReport:
    """Load weights into a model, all of them or none.

    Args:
        model: The model, or a parallel wrapper around it.
        state_dict: Name to tensor, as :func:`state_dict_of` returns them.
        source: Where they came from, for the messages.
        allow_missing: Regular expressions of names that may be missing, beside those the model declares.
        allow_unexpected: Regular expressions of names that may be too many, beside those the model declares.

    Returns:
        What was loaded and what was tolerated.

    Raises:
        CheckpointError: A name is missing or unexpected, a shape differs, or a value is not finite; the model
            is as it was.
    """
    report = check_fit(
        model, state_dict, source=source, allow_missing=allow_missing, allow_unexpected=allow_unexpected
    )
    wanted = without(state_dict, report.tolerated_unexpected)
    # The report has already compared every name; the tolerated ones are the only reason for strict=False.
    _unwrapped(model).load_state_dict(wanted, strict=False)
    return report


def without(state_dict: Mapping[str, torch.Tensor], names: Iterable[str]) -> OrderedDict[str, torch.Tensor]:
    """Copy a state dict without some names, keeping the version table of its modules."""
    dropped = set(names)
    kept = OrderedDict((name, tensor) for name, tensor in state_dict.items() if name not in dropped)
    if hasattr(state_dict, '_metadata'):
        kept._metadata = state_dict._metadata  # type: ignore[attr-defined]
    return kept
