"""MATLAB files up to version 7, read by SciPy: records with a stack of frames each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.plan import Item
from ultrasam.corpus.readers.base import FrameStack, as_bytes
from ultrasam.corpus.words import MatlabRecords


class MatlabStack(FrameStack):
    """Frames of one record."""

    def __init__(self, word: MatlabRecords, item: Item) -> None:
        self._name = item.key
        records = _load(item.frames.path, item.frames.path.stat().st_mtime_ns, word.variable)
        record = records[item.span[0] if item.span else 0]
        self._groups = {group: _text(self._field(record, place)) for group, place in word.values.items()}
        self._frames = self._field(record, word.stack)
        if self._frames.ndim != 3 or self._frames.dtype.kind not in 'uif':
            shape = f'{self._frames.shape} of {self._frames.dtype}'
            raise RawFileError(f'{self._name}: {shape} where a stack of frames (N, H, W) is described')

    @property
    def numbers(self) -> Sequence[int]:
        """All frames of the record."""
        return range(len(self._frames))

    def read(self, number: int) -> np.ndarray:
        """One frame."""
        return as_bytes(np.ascontiguousarray(self._frames[number]), None, self._name)

    def groups(self, number: int) -> Mapping[str, str]:
        """What the record says, the same of each of its frames."""
        return self._groups

    def _field(self, record: Any, place: int) -> np.ndarray:
        names = record.dtype.names or ()
        if place >= len(names):
            raise RawFileError(
                f'{self._name}: a record with the fields {names}, of which none has place {place}'
            )
        return np.asarray(record[names[place]])


def record_spans(word: MatlabRecords, path: Path) -> list[tuple[int, int]]:
    """First and last + 1 record of each item: one record an item.

    Raises:
        RawFileError: damaged, of another version, or without the struct array.
    """
    from scipy.io import whosmat

    try:
        found = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    # a damaged file raises errors of many kinds
    except Exception as error:
        raise RawFileError(f'{path.name}: damaged, or no MATLAB file of version 5 to 7 ({error})') from error
    shape, kind = found.get(word.variable, ((), ''))
    if kind != 'struct':
        raise RawFileError(f'{path.name}: no struct array {word.variable!r} among {sorted(found)}')
    return [(start, start + 1) for start in range(int(np.prod(shape)))]


@lru_cache(maxsize=1)
def _load(path: Path, modified_ns: int, variable: str) -> np.ndarray:
    """The records of a file; its items follow each other, so the last file is kept."""
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(path, variable_names=[variable])[variable]).reshape(-1)
    except MemoryError:
        raise
    # a damaged file raises errors of many kinds
    except Exception as error:
        raise RawFileError(f'{path.name}: damaged, or no MATLAB file of version 5 to 7 ({error})') from error


def _text(values: np.ndarray) -> str:
    """A single number or text as text; whole numbers without a fraction."""
    if values.size != 1:
        return '' if values.size == 0 else str(values.tolist())
    value = values.reshape(-1)[0]
    return f'{float(value):g}' if values.dtype.kind in 'buif' else str(value)
