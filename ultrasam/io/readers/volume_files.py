"""Whether a volume file is whole: ITK takes what is missing or damaged for zeros, or as it comes.

Unpacking a file a second time costs more than reading it. So what ITK read is first compared with the checksum at
the end of the file; only where that says nothing, or something else, is the file unpacked and looked at itself.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ultrasam.errors import InputError
from ultrasam.io.readers.source import reporting

_GZIP_MARK = b'\x1f\x8b'
_GZIP_TRAILER = 8
# Header size, and where its fields lie: magic, dim, datatype, vox_offset; with the type of dim and of the offset.
_LAYOUTS = {348: (344, 40, 'h', 70, 108, 'f'), 540: (4, 16, 'q', 12, 168, 'q')}
_MAGICS = (b'n+1', b'n+2')
_HEADER_BYTES = 540
# NIfTI datatype: bytes a voxel; those missing here are not real numbers that ITK reads.
_VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 2304: 4}
_FLOATS = {16: 'f4', 64: 'f8'}
_CHUNK_BYTES = 2**22  # a multiple of every voxel of floating point
_META_SUFFIXES = ('.mha', '.mhd')
_META_LINE = 4096
_META_TYPES = {
    'MET_CHAR': 'i1',
    'MET_UCHAR': 'u1',
    'MET_SHORT': 'i2',
    'MET_USHORT': 'u2',
    'MET_INT': 'i4',
    'MET_UINT': 'u4',
    'MET_LONG': 'i4',
    'MET_ULONG': 'u4',
    'MET_LONG_LONG': 'i8',
    'MET_ULONG_LONG': 'u8',
    'MET_FLOAT': 'f4',
    'MET_DOUBLE': 'f8',
}
_NOT_FINITE = 'holds values that are not finite (NaN or infinity). Replace them and save it again'


class _Layout(NamedTuple):
    """Where the voxels of a NIfTI file lie, and what they are."""

    order: str
    datatype: int
    offset: int
    voxels: int


def read_whole(path: Path, read: Callable[[], np.ndarray]) -> np.ndarray:
    """Read a volume and prove that it is whole.

    Args:
        path: A NIfTI or MetaImage file; another kind is read as it is.
        read: Gives its voxels, in the order in which they are stored.

    Raises:
        InputError: Voxels that are missing or damaged, in NIfTI (where ITK takes them for 0) also such that are not
            finite, or a header that names a file elsewhere.
    """
    with reporting(path, 'its voxels are damaged or cut short', 'Copy or export it again'):
        if is_nifti(path):
            values = read()
            if not _has_sum_of_gzip(path, values):
                _check_nifti(path)
            return values
        if path.name.lower().endswith(_META_SUFFIXES):
            # a header may name any file: it is looked at before it is followed
            head, stored = _meta_image(path)
            values = read()
            if not _has_sum_of_zlib(head, stored, values):
                _check_meta_image(head, stored)
            return values
        return read()


def is_nifti(path: Path) -> bool:
    """Return True for a NIfTI file, told by its content, zipped or not."""
    try:
        with _opened(path) as file:
            head = file.read(_HEADER_BYTES)
    except (OSError, EOFError, zlib.error):
        return False
    return head[344:347] in _MAGICS or head[4:7] in _MAGICS


def _has_sum_of_gzip(path: Path, values: np.ndarray) -> bool:
    """Return True if header and voxels have the length and the CRC that the end of a zipped NIfTI file states."""
    with path.open('rb') as raw:
        if raw.read(2) != _GZIP_MARK:
            return False
        raw.seek(-_GZIP_TRAILER, 2)
        crc, length = struct.unpack('<2I', raw.read())
    with gzip.open(path) as file:
        head = file.read(_HEADER_BYTES)
        offset = _read_layout(head).offset
        head = head[:offset] + file.read(max(0, offset - _HEADER_BYTES))
    return (
        len(head) + values.nbytes == length
        and zlib.crc32(values.data, zlib.crc32(head)) == crc
        and bool(values.dtype.kind != 'f' or np.isfinite(values).all())
    )


def _check_nifti(path: Path) -> None:
    """Read a NIfTI file to its end: ITK takes missing voxels, and those that are not finite, for zeros."""
    with _opened(path) as file:
        layout = _read_layout(file.read(_HEADER_BYTES))
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
                raise InputError(f'{path}: {_NOT_FINITE}')
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


def _meta_image(path: Path) -> tuple[dict[str, str], bytes]:
    """Return the header of a MetaImage file, and its voxels as they are stored."""
    with path.open('rb') as file:
        head = {}
        for line in iter(lambda: file.readline(_META_LINE), b''):
            key, _, value = line.decode('latin-1').partition('=')
            head[key.strip()] = value.strip()
            if key.strip() == 'ElementDataFile':
                break
        named = head.get('ElementDataFile', '')
        stored = file.read()
    if named != 'LOCAL':
        beside = path.parent / named
        if not named or beside.name != named or beside.is_symlink() or not beside.is_file():
            raise ValueError(f'its voxels are said to be in {named!r}, which is no file beside it')
        stored = beside.read_bytes()
    if head.get('BinaryData', 'False').lower() != 'true':
        raise ValueError('its voxels are not said to be binary')
    # told another size, or none, ITK fills the volume with whatever lies in memory
    if _is_packed(head) and head.get('CompressedDataSize') != str(len(stored)):
        raise EOFError(f'{len(stored):,} of {head.get("CompressedDataSize")} compressed bytes')
    return head, stored


def _is_packed(head: dict[str, str]) -> bool:
    return head.get('CompressedData', 'False').lower() == 'true'


def _has_sum_of_zlib(head: dict[str, str], stored: bytes, values: np.ndarray) -> bool:
    """Return True if voxels have the checksum with which a packed stream ends."""
    return _is_packed(head) and zlib.adler32(values.data) == int.from_bytes(stored[-4:], 'big')


def _check_meta_image(head: dict[str, str], stored: bytes) -> None:
    """Read the voxels of a MetaImage file to their end: ITK takes a damaged stream as it comes."""
    if _is_packed(head):
        unpacker = zlib.decompressobj()
        stored = unpacker.decompress(stored) + unpacker.flush()
        if not unpacker.eof:
            raise EOFError('the compressed voxels end too early')
    kind = _META_TYPES.get(head.get('ElementType', ''))
    if kind is None:
        raise ValueError(f'voxels of type {head.get("ElementType")!r}')
    count = prod(int(size) for size in head['DimSize'].split()) * int(
        head.get('ElementNumberOfChannels', '1')
    )
    expected = count * np.dtype(kind).itemsize
    if 'HeaderSize' in head:
        stored = stored[-expected:]
    if len(stored) != expected:
        raise EOFError(f'{len(stored):,} of {expected:,} bytes')
