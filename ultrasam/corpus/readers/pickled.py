"""NumPy files of one pickled object, read without running anything that the file names.

An ordinary unpickler calls what a file tells it to. This one knows four names, each with a constructor of ours;
any other name refuses the file.
"""

from __future__ import annotations

import codecs
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.plan import SourceFile

_MOST_BYTES = 1 << 30
_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')


class _Type:
    """A dtype in the making: only plain numbers and objects."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or code[:1] not in 'biufO' or len(code) > 3:
            raise RawFileError(f'values of type {code!r}, which are no numbers')
        self.code = code
        self.order = '<'

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = '>' if state[1] == '>' else '<'

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.code if self.code == 'O' else f'{self.order}{self.code}')


class _Array:
    """An array in the making."""

    values: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, content = state
        if kind.code.startswith('O'):
            flat = np.empty(len(content), object)
            flat[:] = content
        else:
            content = content.encode('latin-1') if isinstance(content, str) else content
            flat = np.frombuffer(content, kind.dtype)
        self.values = flat.reshape(shape, order='F' if is_fortran else 'C')


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != 'latin1':
        raise RawFileError(f'text encoded as {encoding!r}')
    return codecs.encode(text, 'latin-1')


def _scalar(kind: _Type, content: Any = b'') -> Any:
    return np.frombuffer(_as_bytes(content), kind.dtype, count=1)[0]


def _as_bytes(content: Any) -> bytes:
    return content.encode('latin-1') if isinstance(content, str) else bytes(content)


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ('numpy', 'ndarray'): _Array,
    ('numpy', 'dtype'): _Type,
    ('_codecs', 'encode'): _encoded,
    **{(module, '_reconstruct'): lambda *_: _Array() for module in _MODULES},
    **{(module, 'scalar'): _scalar for module in _MODULES},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise RawFileError(f'names {module}.{name}, which no array needs; it was not run') from None


def read_object_array(file: SourceFile) -> Any:
    """The object of a NumPy file with ``dtype=object`` and one entry: dicts, lists, texts, numbers, arrays.

    Raises:
        RawFileError: damaged, too large, or it names more than arrays and plain values.
    """
    data = file.path.read_bytes()
    try:
        if len(data) > _MOST_BYTES:
            raise RawFileError(f'{len(data):,} bytes are too many')
        stream = io.BytesIO(data)
        major = np.lib.format.read_magic(stream)[0]
        header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        if not dtype.hasobject or shape not in ((), (1,)):
            raise RawFileError(f'shape {shape} of {dtype} where one object is described')
        array = _Reader(stream, encoding='latin1').load()
        return _finished(array).reshape(-1)[0]
    # a damaged pickle raises errors of many kinds
    except Exception as error:
        raise RawFileError(f'{file.name}: cannot be used ({error})') from error


def _finished(value: Any) -> Any:
    """Replace arrays in the making by arrays, all the way down."""
    if isinstance(value, _Array):
        if value.values is not None and value.values.dtype == object:
            finished = np.empty(value.values.shape, object)
            for place in np.ndindex(value.values.shape):
                finished[place] = _finished(value.values[place])
            return finished
        return value.values
    if isinstance(value, dict):
        return {_finished(key): _finished(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(entry) for entry in value)
    return value
