"""Looks at what ITK passes over in silence: NIfTI files that were cut short, and values that are not finite."""

from __future__ import annotations

import gzip
import struct
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ultrasam.errors import InputError
from ultrasam.io.readers.source import reporting

_GZIP_MARK = b'\x1f\x8b'
# Header size, and where its fields lie: magic, dim, datatype, vox_offset; with the type of dim and of the offset.
_LAYOUTS = {348: (344, 40, 'h', 70, 108, 'f'), 540: (4, 16, 'q', 12, 168, 'q')}
_MAGICS = (b'n+1', b'n+2')
# NIfTI datatype: bytes a voxel; those missing here are not real numbers that ITK reads.
_VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 2304: 4}
_FLOATS = {16: 'f4', 64: 'f8'}
_CHUNK_BYTES = 2**22  # a multiple of every voxel of floating point


class _Layout(NamedTuple):
    """Where the voxels lie, and what they are."""

    order: str
    datatype: int
    offset: int
    voxels: int


def is_nifti(path: Path) -> bool:
    """Tell a NIfTI file by its content, zipped or not."""
    try:
        with _opened(path) as file:
            head = file.read(348)
    except (OSError, EOFError):
        return False
    return head[344:347] in _MAGICS or head[4:7] in _MAGICS


def check_nifti(path: Path) -> None:
    """Read a NIfTI file once to its end.

    Args:
        path: a single file, zipped or not.

    Raises:
        InputError: voxels that are missing, damaged, or not finite (ITK would read each of these as 0).
    """
    with (
        reporting(path, 'its voxels are damaged or cut short', 'Copy or export it again'),
        _opened(path) as file,
    ):
        layout = _read_layout(file.read(540))
        if layout.datatype not in _VOXEL_BYTES:
            raise InputError(
                f'{path}: NIfTI datatype {layout.datatype}, which cannot be read. Convert it to float32'
            )
        file.seek(layout.offset)
        voxel_bytes = _VOXEL_BYTES[layout.datatype]
        expected = layout.voxels * voxel_bytes
        kind = _FLOATS.get(layout.datatype)
        read = 0
        # To the end, past the last voxel: only there does a zipped file prove that it is whole.
        while chunk := file.read(_CHUNK_BYTES):
            voxels = chunk[: max(expected - read, 0)]
            read += len(chunk)
            whole = voxels[: len(voxels) // voxel_bytes * voxel_bytes]
            if kind and not np.isfinite(np.frombuffer(whole, layout.order + kind)).all():
                raise InputError(
                    f'{path}: holds values that are not finite (NaN or infinity). Replace them and save it again'
                )
        if read < expected:
            raise EOFError(f'{read:,} of {expected:,} bytes')


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open('rb') as file:
        is_zipped = file.read(2) == _GZIP_MARK
    return gzip.open(path) if is_zipped else path.open('rb')


def _read_layout(head: bytes) -> _Layout:
    order = next(mark for mark in '<>' if struct.unpack_from(mark + 'i', head)[0] in _LAYOUTS)
    magic_at, dim_at, dim_type, type_at, offset_at, offset_type = _LAYOUTS[
        struct.unpack_from(order + 'i', head)[0]
    ]
    if head[magic_at : magic_at + 3] not in _MAGICS:
        raise ValueError('a header whose voxels lie in another file')
    rank, *sizes = struct.unpack_from(f'{order}8{dim_type}', head, dim_at)
    (datatype,) = struct.unpack_from(order + 'h', head, type_at)
    (offset,) = struct.unpack_from(order + offset_type, head, offset_at)
    return _Layout(order, datatype, int(offset), prod(sizes[:rank]))
