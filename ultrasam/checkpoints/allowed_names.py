"""The names that a checkpoint may contain, and what each of them builds."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_HISTORY_BUFFER = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = ('min', 'max', 'current', 'mean')
# Numbers, booleans and fixed-length text; never objects ('O') or raw records ('V').
_SIMPLE_DTYPE = re.compile(r'[biufcSU]\d+')


class RefusedPickleError(ValueError):
    """A pickle that asks for more than data; the text completes the sentence 'it asks for ...'."""


@dataclass(frozen=True)
class Name:
    """A global that a pickle names. It is only ever compared: nothing is imported from it."""

    module: str
    name: str

    def __str__(self) -> str:
        """Return the dotted name."""
        return f'{self.module}.{self.name}'


STORAGE_DTYPES: dict[str, torch.dtype] = {
    'torch.DoubleStorage': torch.float64,
    'torch.FloatStorage': torch.float32,
    'torch.HalfStorage': torch.float16,
    'torch.BFloat16Storage': torch.bfloat16,
    'torch.LongStorage': torch.int64,
    'torch.IntStorage': torch.int32,
    'torch.ShortStorage': torch.int16,
    'torch.CharStorage': torch.int8,
    'torch.ByteStorage': torch.uint8,
    'torch.BoolStorage': torch.bool,
    'torch.ComplexFloatStorage': torch.complex64,
    'torch.ComplexDoubleStorage': torch.complex128,
    'torch.storage.UntypedStorage': torch.uint8,
}
# Types without a storage class of their own; which of them exist depends on the torch release.
_RAW_DTYPES = ('uint16', 'uint32', 'uint64', 'float8_e4m3fn', 'float8_e5m2')
CONSTANTS: dict[str, torch.dtype] = {
    **{str(dtype): dtype for dtype in STORAGE_DTYPES.values()},
    **{f'torch.{name}': getattr(torch, name) for name in _RAW_DTYPES if hasattr(torch, name)},
}


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise RefusedPickleError(what)


def _are_sizes(*groups: Any) -> bool:
    return all(isinstance(group, tuple) and all(type(n) is int and n >= 0 for n in group) for group in groups)


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, *extra: Any
) -> torch.Tensor:
    _require(isinstance(storage, torch.Tensor) and storage.dim() == 1, 'a tensor without a storage')
    _require(_are_sizes(size, stride, (offset,)) and len(size) == len(stride), 'a tensor of impossible shape')
    _require(not hooks, 'a tensor with hooks')
    # An expanded view of a few bytes could claim any size and exhaust memory at its first use.
    _require(math.prod(size) <= storage.numel(), 'a tensor larger than its storage')
    tensor: torch.Tensor = storage.as_strided(size, stride, offset)
    return tensor.requires_grad_() if requires_grad is True and tensor.is_floating_point() else tensor


def _tensor_of_dtype(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any, *extra: Any
) -> torch.Tensor:
    _require(
        isinstance(storage, torch.Tensor) and storage.dtype == torch.uint8, 'a tensor without a raw storage'
    )
    _require(isinstance(dtype, torch.dtype), 'a tensor of unknown type')
    return _tensor(storage.view(dtype), offset, size, stride, requires_grad, hooks)


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> torch.nn.Parameter:
    _require(isinstance(data, torch.Tensor) and not hooks, 'a parameter that is not a plain tensor')
    return torch.nn.Parameter(data.detach(), requires_grad=requires_grad is True and data.is_floating_point())


def _guarded_getattr(owner: Any, attribute: Any) -> Name:
    known = isinstance(owner, Name) and str(owner) == _HISTORY_BUFFER and attribute in _STATISTICS
    _require(
        known, f'the attribute {attribute!r} of {owner if isinstance(owner, Name) else type(owner).__name__}'
    )
    return Name(owner.module, f'{owner.name}.{attribute}')


def _dtype(code: Any, *flags: Any) -> np.dtype[Any]:
    _require(
        isinstance(code, str) and _SIMPLE_DTYPE.fullmatch(code) is not None, f'an array of type {code!r}'
    )
    return np.dtype(str(code))


def _scalar(dtype: Any, raw: Any) -> Any:
    _require(isinstance(dtype, np.dtype) and isinstance(raw, bytes), 'a malformed number')
    _require(len(raw) == dtype.itemsize, 'a malformed number')
    return np.frombuffer(raw, dtype=dtype)[0]


def _empty_array(kind: Any, shape: Any, code: Any) -> np.ndarray:
    _require(str(kind) == 'numpy.ndarray', f'an array of type {kind}')
    return np.empty((0,), dtype=np.uint8)


def _bytes(text: Any, encoding: Any) -> bytes:
    _require(isinstance(text, str) and encoding == 'latin1', 'an unknown encoding')
    return str(text).encode('latin1')


def _ordered_dict(*arguments: Any) -> OrderedDict[Any, Any]:
    _require(arguments in ((), ([],)), 'a filled OrderedDict')
    return OrderedDict()


def _counter(counts: Any = None) -> Counter[Any]:
    _require(counts is None or isinstance(counts, dict), 'a malformed Counter')
    return Counter(counts)


def _config_dict(values: Any = None) -> dict[Any, Any]:
    _require(values is None or type(values) is dict, 'a malformed ConfigDict')
    # A plain dict: building the real one copies every nested part, exponentially often if parts are shared.
    return {} if values is None else values


def _history() -> HistoryBuffer:
    return HistoryBuffer()


def _set(items: Any = ()) -> set[Any]:
    _require(isinstance(items, list | tuple), 'a malformed set')
    _require(all(isinstance(item, str | int | float | bytes) for item in items), 'a set of compound items')
    return set(items)


def _complex(real: Any, imag: Any) -> complex:
    _require(isinstance(real, float) and isinstance(imag, float), 'a malformed complex number')
    return complex(real, imag)


def _slice(*limits: Any) -> slice:
    _require(all(limit is None or type(limit) is int for limit in limits), 'a malformed slice')
    return slice(*limits)


def _size(sizes: Any) -> torch.Size:
    _require(_are_sizes(sizes), 'a malformed torch.Size')
    return torch.Size(sizes)


def _device(kind: Any, *index: Any) -> torch.device:
    _require(isinstance(kind, str) and _are_sizes(index), 'a malformed torch.device')
    return torch.device(kind, *index)


CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    'torch._utils._rebuild_tensor_v2': _tensor,
    'torch._utils._rebuild_tensor_v3': _tensor_of_dtype,
    'torch._utils._rebuild_parameter': _parameter,
    'torch.Size': _size,
    'torch.device': _device,
    'collections.OrderedDict': _ordered_dict,
    'collections.Counter': _counter,
    'builtins.set': _set,
    'builtins.complex': _complex,
    'builtins.slice': _slice,
    'builtins.getattr': _guarded_getattr,
    '_codecs.encode': _bytes,
    'numpy.dtype': _dtype,
    'numpy.core.multiarray.scalar': _scalar,
    'numpy._core.multiarray.scalar': _scalar,
    'numpy.core.multiarray._reconstruct': _empty_array,
    'numpy._core.multiarray._reconstruct': _empty_array,
    'mmengine.config.config.ConfigDict': _config_dict,
    _HISTORY_BUFFER: _history,
}
_NAMES_ONLY = frozenset(('numpy.ndarray', *(f'{_HISTORY_BUFFER}.{method}' for method in _STATISTICS)))


def is_allowed(name: Name) -> bool:
    """Tell whether a checkpoint may contain this global."""
    text = str(name)
    return text in CONSTRUCTORS or text in CONSTANTS or text in STORAGE_DTYPES or text in _NAMES_ONLY


def fill_from_state(target: Any, state: Any) -> None:
    """Give a freshly built object the state that its pickle holds, field by checked field.

    Args:
        target: An object that a constructor of this module returned.
        state: Its pickled state.

    Raises:
        RefusedPickleError: The object takes no state, or not this one.
    """
    if type(target) is OrderedDict:
        _require(isinstance(state, dict) and set(state) <= {'_metadata'}, 'attributes of an OrderedDict')
        target.__dict__.update(state)
    elif type(target) is HistoryBuffer:
        _fill_history(target, state)
    elif type(target) is np.ndarray:
        _fill_array(target, state)
    elif isinstance(target, np.dtype):
        plain = (
            isinstance(state, tuple)
            and len(state) >= 5
            and state[1] in ('<', '|')
            and state[2:5] == (None,) * 3
        )
        _require(plain, 'a big-endian or structured array')
    else:
        raise RefusedPickleError(
            f'a state for {target if isinstance(target, Name) else type(target).__name__}'
        )


def _fill_history(buffer: HistoryBuffer, state: Any) -> None:
    _require(isinstance(state, dict), 'a malformed HistoryBuffer')
    numbers = [state.get(field) for field in ('_log_history', '_count_history')]
    well_formed = all(type(array) is np.ndarray and array.dtype.kind in 'biuf' for array in numbers)
    _require(well_formed and type(state.get('max_length')) is int, 'a malformed HistoryBuffer')
    # The statistics of the file are left out: those of the installed library are the same and are trusted.
    buffer._log_history, buffer._count_history = numbers
    buffer.max_length = state['max_length']


def _fill_array(array: np.ndarray, state: Any) -> None:
    _require(isinstance(state, tuple) and len(state) == 5, 'a malformed array')
    version, shape, dtype, is_fortran, raw = state
    if isinstance(raw, str):
        raw = raw.encode('latin1')
    _require(
        _are_sizes(shape) and isinstance(dtype, np.dtype) and isinstance(raw, bytes), 'a malformed array'
    )
    _require(len(raw) == math.prod(shape) * dtype.itemsize, 'a malformed array')
    array.__setstate__((version, shape, dtype, bool(is_fortran), raw))  # type: ignore[arg-type]
