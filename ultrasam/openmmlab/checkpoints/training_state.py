"""Training state as plain data, and back: what we save opens under ``torch.load(weights_only=True)``.

MMEngine saves its log history as pickled objects, and numpy numbers where a metric was one; a strict reader has to
refuse both. Before a save they become tensors and plain numbers, after a load they are what they were.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from ultrasam.checkpoints.saved_objects import SavedHistory
from ultrasam.errors import CheckpointError

TAG = 'ultrasam.plain'
"""Key of a dictionary that stands for something else; its value says for what."""

_HISTORY, _ARRAY, _BYTES = 'history', 'array', 'bytes'
_EXACT = (type(None), bool, int, float, str)
_TENSOR_ITEMSIZES = {'b': (1,), 'u': (1,), 'i': (1, 2, 4, 8), 'f': (2, 4, 8)}


def make_plain(checkpoint: dict[str, Any]) -> list[str]:
    """Turn the training state of a checkpoint into plain data, in place.

    Args:
        checkpoint: What MMEngine is about to save.

    Returns:
        Entries of the log and of the notes that are no data and were left out.

    Raises:
        CheckpointError: Something that is needed to go on training is no data.
    """
    left_out: list[str] = []
    for key, value in checkpoint.items():
        if key == 'message_hub':
            parts = {part: _tolerant(content, f'{key}.{part}', left_out) for part, content in value.items()}
            kept = {*parts.get('log_scalars', ()), *parts.get('runtime_info', ())}
            marks = parts.get('resumed_keys', {})
            parts['resumed_keys'] = OrderedDict((name, mark) for name, mark in marks.items() if name in kept)
            checkpoint[key] = parts
        elif key == 'param_schedulers':
            # a function of a scheduler is that of its class, and is there again when it is built
            plain = [{name: part for name, part in one.items() if not callable(part)} for one in value]
            checkpoint[key] = to_plain(plain, key)
        elif key == 'meta':
            meta = dict(value)
            if isinstance(meta.get('dataset_meta'), Mapping):
                meta['dataset_meta'] = _tolerant(meta['dataset_meta'], 'meta.dataset_meta', left_out)
            checkpoint[key] = _tolerant(meta, key, left_out)
        else:
            checkpoint[key] = to_plain(value, key)
    return left_out


def restore(checkpoint: dict[str, Any]) -> None:
    """Undo :func:`make_plain`, in place; a checkpoint that never was through it stays as it is.

    Raises:
        CheckpointError: A log history or an array is malformed.
    """
    for key, value in checkpoint.items():
        if key != 'state_dict':
            checkpoint[key] = from_plain(value)


def to_plain(value: Any, where: str) -> Any:
    """The same value made of tensors, numbers, texts, lists, tuples and dictionaries.

    Args:
        value: Any nested value.
        where: Its place, for the message.

    Raises:
        CheckpointError: A part is none of these and cannot be expressed by them.
    """
    if type(value) in _EXACT:
        return value
    if isinstance(value, torch.Tensor):
        return value if type(value) is torch.Tensor else value.detach().as_subclass(torch.Tensor)
    if isinstance(value, HistoryBuffer):
        log, count = (torch.from_numpy(np.array(part)) for part in value.data)
        return {TAG: _HISTORY, 'log': log, 'count': count, 'max_length': int(value.max_length)}
    if isinstance(value, bytes | bytearray):
        # Pickled bytes name a function, which the strict reader of older torch releases refuses.
        return {TAG: _BYTES, 'values': torch.tensor(list(value), dtype=torch.uint8)}
    if isinstance(value, np.ndarray):
        if value.dtype.itemsize in _TENSOR_ITEMSIZES.get(value.dtype.kind, ()):
            return {TAG: _ARRAY, 'values': torch.from_numpy(np.array(value, order='C'))}
        return to_plain(value.tolist(), where)
    if isinstance(value, np.generic):
        return to_plain(value.item(), where)
    if isinstance(value, Mapping):
        return _plain_mapping(value, where)
    if isinstance(value, list | tuple | set | frozenset):
        items = [to_plain(item, f'{where}[{index}]') for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, torch.device | torch.dtype | PathLike):
        return str(value)
    # An enumeration or another subclass pickles as a reference to its class.
    if isinstance(value, str):
        return str.__str__(value)
    for base in (bool, int, float):
        if isinstance(value, base):
            return base(value)
    raise CheckpointError(f'{where}: a {type(value).__name__} cannot be saved as plain data.')


def from_plain(value: Any) -> Any:
    """Turn tagged dictionaries back into what they stand for, anywhere in a nested value.

    Raises:
        CheckpointError: A tagged dictionary is malformed.
    """
    if isinstance(value, dict):
        if TAG in value:
            return _untagged(value)
        for key in value:
            value[key] = from_plain(value[key])
    elif isinstance(value, list):
        value[:] = [from_plain(item) for item in value]
    elif type(value) is tuple:
        return tuple(from_plain(item) for item in value)
    elif isinstance(value, SavedHistory):
        return HistoryBuffer(value.log, value.count, max_length=value.max_length)
    return value


def _plain_mapping(value: Mapping[Any, Any], where: str) -> dict[Any, Any]:
    ordered = isinstance(value, OrderedDict)
    plain: dict[Any, Any] = OrderedDict() if ordered else {}
    for key, item in value.items():
        plain[to_plain(key, f'a key of {where}')] = to_plain(item, f'{where}.{key}')
    if ordered and hasattr(value, '_metadata'):
        plain._metadata = value._metadata  # type: ignore[attr-defined]
    return plain


def _tolerant(values: Mapping[str, Any], where: str, left_out: list[str]) -> dict[str, Any]:
    plain: dict[str, Any] = OrderedDict()
    for name, value in values.items():
        try:
            plain[str(name)] = to_plain(value, f'{where}.{name}')
        except CheckpointError:
            left_out.append(f'{where}.{name} ({type(value).__name__})')
    return plain


def _untagged(value: dict[str, Any]) -> Any:
    values, log, count = value.get('values'), value.get('log'), value.get('count')
    if value[TAG] == _ARRAY and isinstance(values, torch.Tensor):
        return values.cpu().numpy()
    if value[TAG] == _BYTES and isinstance(values, torch.Tensor):
        return bytes(values.cpu().to(torch.uint8).flatten().tolist())
    if value[TAG] == _HISTORY and isinstance(log, torch.Tensor) and isinstance(count, torch.Tensor):
        length = value.get('max_length')
        fits = log.dim() == count.dim() == 1 and len(log) == len(count)
        if fits and isinstance(length, int):
            return HistoryBuffer(log.cpu().numpy(), count.cpu().numpy(), max_length=length)
    raise CheckpointError(f'the training state holds a malformed {value[TAG]!r}. Use an earlier checkpoint.')
