"""The two containers that torch writes, read by us: zip archives, and the plain stream before them."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch

from ultrasam.checkpoints.allowed_names import STORAGE_DTYPES, RefusedPickleError
from ultrasam.checkpoints.inert_pickle import InertUnpickler, refused_names
from ultrasam.errors import CheckpointError

_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_VERSION = 1001
_OpenStorage = Callable[[tuple[Any, ...]], torch.Tensor]


class RefusedNamesError(RefusedPickleError):
    """A pickle that names globals which no checkpoint needs; ``names`` holds all of them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(', '.join(names))
        self.names = names


def _flat_tensor(buffer: bytearray, dtype: torch.dtype) -> torch.Tensor:
    return torch.frombuffer(buffer, dtype=dtype) if buffer else torch.empty(0, dtype=dtype)


def _describe_storage(saved_id: tuple[Any, ...]) -> tuple[torch.dtype, str, int]:
    """Check a persistent id and return its element type, key and element count."""
    if len(saved_id) not in (5, 6) or saved_id[0] != 'storage' or any(saved_id[5:]):
        raise RefusedPickleError('a persistent object that is not a storage')
    dtype = STORAGE_DTYPES.get(str(saved_id[1]))
    key, count = saved_id[2], saved_id[4]
    if dtype is None or not isinstance(key, str) or type(count) is not int or count < 0:
        raise RefusedPickleError('a malformed storage')
    return dtype, key, count


def _next_object(stream: IO[bytes], open_storage: _OpenStorage | None = None) -> Any:
    start = stream.tell()
    names = refused_names(stream)
    if names:
        raise RefusedNamesError(names)
    stream.seek(start)
    return InertUnpickler(stream, open_storage).load()


def read_zip(path: Path) -> Any:
    """Read the object of a zip checkpoint (torch 1.6 and later), checking the checksum of every record.

    Args:
        path: The file.

    Returns:
        The object; its tensors are on the CPU and share storages as they did when saved.

    Raises:
        CheckpointError: It is no archive of weights.
        RefusedPickleError: It holds more than data.
        zipfile.BadZipFile: It is truncated or a checksum differs.
    """
    with zipfile.ZipFile(path) as archive:
        root = _archive_root(archive)
        storages: dict[str, bytearray] = {}

        def open_storage(saved_id: tuple[Any, ...]) -> torch.Tensor:
            dtype, key, count = _describe_storage(saved_id)
            if key not in storages:
                storages[key] = bytearray(archive.read(f'{root}data/{key}'))
            if len(storages[key]) != count * dtype.itemsize:
                raise ValueError(
                    f'storage {key} has {len(storages[key])} bytes, not {count * dtype.itemsize}'
                )
            return _flat_tensor(storages[key], dtype)

        return _next_object(io.BytesIO(archive.read(f'{root}data.pkl')), open_storage)


def _archive_root(archive: zipfile.ZipFile) -> str:
    path, names = archive.filename, archive.namelist()
    roots = [
        name.removesuffix('data.pkl') for name in names if name.count('/') == 1 and name.endswith('/data.pkl')
    ]
    if len(roots) != 1:
        raise CheckpointError(
            f'{path}: is a zip archive, but no torch checkpoint (it has no data.pkl). Unpack it first.'
        )
    root = roots[0]
    if f'{root}constants.pkl' in names or any(name.startswith(f'{root}code/') for name in names):
        raise CheckpointError(
            f'{path}: is a TorchScript program, not weights. Use the checkpoint it was made from.'
        )
    packed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
    if packed or len(set(names)) != len(names):
        raise CheckpointError(
            f'{path}: has compressed or repeated members, which torch never writes. Do not trust it.'
        )
    if f'{root}byteorder' in names and archive.read(f'{root}byteorder') != b'little':
        raise CheckpointError(
            f'{path}: was saved on a big-endian machine, which is not supported. Save it on another.'
        )
    return root


def read_stream(path: Path) -> Any:
    """Read the object of a checkpoint from before torch 1.6: pickles, then the storages one after another.

    Args:
        path: The file.

    Returns:
        The object, with its tensors on the CPU.

    Raises:
        CheckpointError: It is another kind of pickle.
        RefusedPickleError: It holds more than data.
        ValueError: It is truncated or malformed.
    """
    file_size = os.path.getsize(path)
    storages: dict[str, tuple[bytearray, torch.dtype]] = {}

    def open_storage(saved_id: tuple[Any, ...]) -> torch.Tensor:
        dtype, key, count = _describe_storage(saved_id)
        if key not in storages:
            if count * dtype.itemsize + sum(len(buffer) for buffer, _ in storages.values()) > file_size:
                raise ValueError('its storages are larger than the file')
            storages[key] = bytearray(count * dtype.itemsize), dtype
        buffer, known = storages[key]
        if known != dtype or len(buffer) != count * dtype.itemsize:
            raise ValueError(f'storage {key} has two shapes')
        return _flat_tensor(buffer, dtype)

    with open(path, 'rb') as stream:
        if _next_object(stream) != _STREAM_MAGIC:
            raise CheckpointError(
                f'{path}: is a plain pickle, not a torch checkpoint. Save it with torch.save.'
            )
        if _next_object(stream) != _STREAM_VERSION:
            raise CheckpointError(
                f'{path}: has a format version that no torch has written. Fetch the file again.'
            )
        _next_object(stream)  # the word sizes of the writer, which torch ignores as well
        content = _next_object(stream, open_storage)
        keys = _next_object(stream)
        if not isinstance(keys, list) or sorted(keys) != sorted(storages):
            raise ValueError('its list of storages does not match its tensors')
        for key in keys:
            _fill_storage(stream, key, *storages[key])
    return content


def _fill_storage(stream: IO[bytes], key: str, buffer: bytearray, dtype: torch.dtype) -> None:
    (count,) = struct.unpack('<q', stream.read(8))
    data = stream.read(len(buffer))
    if count * dtype.itemsize != len(buffer) or len(data) != len(buffer):
        raise ValueError(f'storage {key} is cut off')
    # In place: the tensors that were built from this buffer see the values.
    buffer[:] = data
