"""Whether a volume file is whole: ITK takes what is missing or damaged for zeros, or as it comes.

Unpacking a file a second time costs more than reading it. So what ITK read is first compared with the checksum at
the end of the file; only where that says nothing, or something else, is the file unpacked and looked at itself.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

_CHUNK = 1 << 22
_GZIP = b'\x1f\x8b'
_GZIP_TRAILER = 8
_NIFTI_1 = 348
# NIfTI data types of floating point
_FLOATS = {16: 'f4', 64: 'f8'}
_META_LINE = 4096
_META_TYPES = {
    'MET_CHAR': 'i1',
    'MET_UCHAR': 'u1',
    'MET_SHORT': 'i2',
    'MET_USHORT': 'u2',
    'MET_INT': 'i4',
    'MET_UINT': 'u4',
    'MET_FLOAT': 'f4',
    'MET_DOUBLE': 'f8',
}


def read_whole(path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """Read a volume and prove that it is whole.

    Args:
        path: of a NIfTI or MetaImage file, known by its suffix; another kind is read as it is.
        read: gives its voxels, in the order in which they are stored.

    Raises:
        Exception: of many kinds; the file is damaged or cut short, or names another one.
    """
    name = path.name.lower()
    if name.endswith(('.nii', '.nii.gz')):
        values = read(path)
        if not _has_sum_of_gzip(path, values):
            _check_nifti(path)
        return values
    if name.endswith(('.mha', '.mhd')):
        # a header may name any file: it is looked at before it is followed
        head, stored = _meta_image(path)
        values = read(path)
        if not _has_sum_of_zlib(head, stored, values):
            _check_meta_image(head, stored)
        return values
    return read(path)


def _has_sum_of_gzip(path: Path, values: np.ndarray) -> bool:
    """Whether header and voxels have the length and the CRC that the end of a zipped NIfTI file states."""
    with path.open('rb') as raw:
        if raw.read(2) != _GZIP:
            return False
        raw.seek(-_GZIP_TRAILER, 2)
        crc, length = struct.unpack('<2I', raw.read())
    with gzip.open(path) as file:
        head = file.read(_NIFTI_1)
        head += file.read(max(0, int(_nifti_fields(head)[2]) - _NIFTI_1))
    return (
        len(head) + values.nbytes == length
        and zlib.crc32(values.data, zlib.crc32(head)) == crc
        and bool(values.dtype.kind != 'f' or np.isfinite(values).all())
    )


def _nifti_fields(head: bytes) -> tuple[str, tuple[int, ...], float, int, int]:
    """Byte order, sizes of the axes, place of the first voxel, data type and its bits."""
    order = '<' if struct.unpack('<i', head[:4])[0] == _NIFTI_1 else '>'
    rank, *sizes = struct.unpack_from(f'{order}8h', head, 40)
    kind, bits = struct.unpack_from(f'{order}2h', head, 70)
    (offset,) = struct.unpack_from(f'{order}f', head, 108)
    return order, tuple(sizes[:rank]), offset, kind, bits


def _check_nifti(path: Path) -> None:
    """Read a NIfTI file to its end: ITK takes missing voxels, and those that are not finite, for zeros."""
    with path.open('rb') as raw:
        is_zipped = raw.read(2) == _GZIP
    with gzip.open(path) if is_zipped else path.open('rb') as file:
        order, sizes, offset, kind, bits = _nifti_fields(file.read(_NIFTI_1))
        file.seek(int(offset))
        length = 0
        # to the end, past the last voxel: only there does a zipped file prove that it is whole
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            if kind in _FLOATS:
                whole = chunk[: len(chunk) // 8 * 8]
                if not np.isfinite(np.frombuffer(whole, order + _FLOATS[kind])).all():
                    raise ValueError('values that are not finite')
    expected = prod(sizes) * bits // 8
    if length < expected:
        raise EOFError(f'{length:,} of {expected:,} bytes')


def _meta_image(path: Path) -> tuple[dict[str, str], bytes]:
    """Header of a MetaImage file, and its voxels as they are stored."""
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
    """Whether voxels have the checksum with which a packed stream ends."""
    return (
        _is_packed(head)
        and zlib.adler32(values.data) == int.from_bytes(stored[-4:], 'big')
        and bool(values.dtype.kind != 'f' or np.isfinite(values).all())
    )


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
    if len(stored) != expected:
        raise EOFError(f'{len(stored):,} of {expected:,} bytes')
    if kind in ('f4', 'f8'):
        order = '>' if head.get('BinaryDataByteOrderMSB', 'False').lower() == 'true' else '<'
        if not np.isfinite(np.frombuffer(stored, order + kind)).all():
            raise ValueError('values that are not finite')
