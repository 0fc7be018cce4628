"""What a checkpoint may hold beside tensors and plain containers: numpy values, MMEngine's log history and configs.

Each name stands for a class or function of this module, which builds data and nothing else; the object that a file
names is never imported.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import torch

_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = ('min', 'max', 'current', 'mean')
# Numbers, booleans and text of fixed length; never objects ('O') or raw records ('V').
_SIMPLE_DTYPE = re.compile(r'[biufcSU]\d+')


class RefusedContentError(ValueError):
    """Content that is not data; the text completes the sentence 'it holds ...'."""


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise RefusedContentError(what)


class SavedHistory:
    """The log history of MMEngine (``HistoryBuffer``), without its code.

    Attributes:
        log: Logged values (N,).
        count: How many steps each stands for (N,).
        max_length: Most values that are kept.
    """

    log: np.ndarray
    count: np.ndarray
    max_length: int

    def __setstate__(self, state: Any) -> None:
        """Take the two arrays and the length; the statistics of the file, which are functions, are left out."""
        _require(isinstance(state, dict), 'a malformed HistoryBuffer')
        log, count = (
            part.array() if isinstance(part, _SavedArray) else None
            for part in (state.get('_log_history'), state.get('_count_history'))
        )
        fits = (
            log is not None and count is not None and log.dtype.kind in 'biuf' and count.dtype.kind in 'biuf'
        )
        _require(fits and type(state.get('max_length')) is int, 'a malformed HistoryBuffer')
        self.log, self.count, self.max_length = log, count, state['max_length']  # type: ignore[assignment]


class _SavedDtype:
    def __init__(self, code: Any, *_flags: Any) -> None:
        known = isinstance(code, str) and _SIMPLE_DTYPE.fullmatch(code) is not None
        _require(known, f'an array of type {code!r}')
        self.dtype = np.dtype(str(code))

    def __setstate__(self, state: Any) -> None:
        plain = isinstance(state, tuple) and len(state) >= 5 and state[1] in ('<', '|', '=')
        _require(plain and state[2:5] == (None,) * 3, 'a big-endian or structured array')


class _SavedArray:
    _array: np.ndarray | None = None

    def __init__(self, kind: Any, *_shape_and_code: Any) -> None:
        _require(kind is _NdarrayName, 'an array of unknown type')

    def __setstate__(self, state: Any) -> None:
        _require(isinstance(state, tuple) and len(state) == 5, 'a malformed array')
        _, shape, dtype, is_fortran, raw = state
        raw = raw.encode('latin1') if isinstance(raw, str) else raw
        _require(
            isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape), 'a malformed array'
        )
        _require(isinstance(dtype, _SavedDtype) and isinstance(raw, bytes), 'a malformed array')
        _require(len(raw) == math.prod(shape) * dtype.dtype.itemsize, 'a malformed array')
        flat = np.frombuffer(raw, dtype.dtype).copy()
        self._array = flat.reshape(shape, order='F' if is_fortran is True else 'C')

    def array(self) -> np.ndarray:
        """Return the array itself."""
        _require(self._array is not None, 'an array without content')
        return self._array  # type: ignore[return-value]


class _NdarrayName:
    """Stands for ``numpy.ndarray``, which a pickled array names."""

    def __init__(self, *_arguments: Any) -> None:
        raise RefusedContentError('a call of numpy.ndarray')


def _scalar(dtype: Any, raw: Any) -> Any:
    raw = raw.encode('latin1') if isinstance(raw, str) else raw
    fits = isinstance(dtype, _SavedDtype) and isinstance(raw, bytes) and len(raw) == dtype.dtype.itemsize
    _require(fits, 'a malformed number')
    return np.frombuffer(raw, dtype=dtype.dtype)[0]


def _config_dict(values: Any = None) -> dict[Any, Any]:
    _require(values is None or type(values) is dict, 'a malformed ConfigDict')
    return {} if values is None else values


def _slice(*limits: Any) -> slice:
    _require(all(limit is None or type(limit) is int for limit in limits), 'a malformed slice')
    return slice(*limits)


def _statistic(owner: Any, attribute: Any) -> None:
    """Stand for ``getattr``: MMEngine names the functions of its history in this way, and nothing else is allowed."""
    known = owner is SavedHistory and attribute in _STATISTICS
    _require(known, f'the attribute {attribute!r} of {getattr(owner, "__name__", type(owner).__name__)}')


SAFE_GLOBALS: list[Any] = [
    (SavedHistory, _HISTORY),
    (_config_dict, 'mmengine.config.config.ConfigDict'),
    (_slice, 'builtins.slice'),
    (_statistic, 'builtins.getattr'),
    (_NdarrayName, 'numpy.ndarray'),
    (_SavedDtype, 'numpy.dtype'),
    *((_scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')),
    *((_SavedArray, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')),
]
"""For ``torch.serialization.safe_globals``: what stands for each name in a file."""


def finished(value: Any, done: dict[int, Any] | None = None) -> Any:
    """Put arrays in the place of what stands for them, and check tensors, anywhere in a nested value.

    Containers that can change are changed in place; what is shared stays shared.

    Args:
        value: What torch read.
        done: Results by the ids of their parts, which existed before the walk.

    Raises:
        RefusedContentError: A tensor claims more values than its storage has, or has hooks.
    """
    done = {} if done is None else done
    if id(value) in done:
        return done[id(value)]
    done[id(value)] = value
    if isinstance(value, torch.Tensor):
        _check_tensor(value)
    elif isinstance(value, _SavedArray):
        done[id(value)] = value.array()
    elif isinstance(value, _SavedDtype):
        done[id(value)] = value.dtype
    elif isinstance(value, dict):
        for key in value:
            simple = isinstance(key, str | int | float | bytes | type(None))
            _require(simple, f'a dictionary key of type {type(key).__name__}')
            value[key] = finished(value[key], done)
        attributes = set(getattr(value, '__dict__', ())) - {'_metadata'}
        _require(not attributes, f'attributes of a {type(value).__name__}')
    elif isinstance(value, list):
        value[:] = [finished(item, done) for item in value]
    elif type(value) is tuple:
        done[id(value)] = tuple(finished(item, done) for item in value)
    elif isinstance(value, type) or (callable(value) and not isinstance(value, torch.dtype)):
        raise RefusedContentError(f'the name {getattr(value, "__name__", value)!s} as a value')
    return done[id(value)]


def _check_tensor(tensor: torch.Tensor) -> None:
    _require(not tensor._backward_hooks, 'a tensor with hooks')
    # An expanded view of a few bytes could claim any size and exhaust memory at its first use.
    if tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized:
        held = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
        _require(tensor.numel() <= held, 'a tensor larger than its storage')
