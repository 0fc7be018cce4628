"""NIfTI and MetaImage volumes, read by SimpleITK."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from ultrasam.corpus.errors import EnvironmentFault, RawFileError
from ultrasam.corpus.labels import Labelled, read_labels
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import (
    Annotation,
    FrameStack,
    as_bytes,
    check_frames,
    check_size,
    optional_library,
)
from ultrasam.corpus.words import LabelVolumes, VolumeFiles

_CHUNK = 1 << 22
_GZIP = b'\x1f\x8b'
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


class VolumeStack(FrameStack):
    """Slices of a volume."""

    def __init__(self, word: VolumeFiles, item: Item) -> None:
        self._word = word
        self._name = item.frames.name
        values = read_volume(item.frames)
        if word.channel is not None:
            values = _channel(values, word.channel, self._name)
        self._values = values if word.axis is not None else _as_plane(values, self._name)[None]
        self._axis = word.axis or 0
        self.is_single = word.axis is None
        if self._values.ndim != 3:
            raise RawFileError(f'{self._name}: shape {self._values.shape} where three axes are described')

    @property
    def numbers(self) -> Sequence[int]:
        """All slices."""
        return range(self._values.shape[self._axis])

    def read(self, number: int) -> np.ndarray:
        """One slice."""
        plane = np.take(self._values, number, axis=self._axis)
        return as_bytes(plane, self._word.window, self._name)


class VolumeLabels(Annotation):
    """Slices of label volumes, cut as the volume of the frames is."""

    def __init__(
        self,
        word: LabelVolumes,
        files: tuple[SourceFile, ...],
        item: Item,
        frames: VolumeFiles,
        stray: float,
    ) -> None:
        if len(files) > 1:
            raise RawFileError(f'{item.key}: {len(files)} label volumes where one is described')
        self._word = word
        self._groups = item.groups
        self._stray = stray
        self._axis = frames.axis or 0
        self._name = files[0].name if files else ''
        self._values: np.ndarray | None = None
        if files:
            values = read_volume(files[0])
            if word.channel is not None:
                values = _channel(values, word.channel, self._name)
            self._values = values if frames.axis is not None else _as_plane(values, self._name)[None]

    def check_length(self, frames: int) -> None:
        """As many slices as the image."""
        if self._values is not None:
            check_frames(self._values.shape[self._axis], frames, self._name)

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures of a slice."""
        if self._values is None:
            return [], Counter()
        plane = np.take(self._values, number, axis=self._axis)
        check_size(plane.shape[:2], size_hw, self._name)
        return read_labels(self._word.rule, plane, self._groups, name=self._name, stray_share=self._stray)


def read_volume(file: SourceFile) -> np.ndarray:
    """All values of a volume, in the order of axes that SimpleITK gives: (z, y, x), or with more in front.

    Raises:
        RawFileError: damaged or cut short.
        EnvironmentFault: SimpleITK is not installed.
    """
    itk = optional_library('SimpleITK', file.name)
    try:
        if file.name.endswith(('.nii', '.nii.gz')):
            _check_nifti(file.path)
        elif file.name.lower().endswith(('.mha', '.mhd')):
            _check_meta_image(file.path)
        values: np.ndarray = itk.GetArrayFromImage(itk.ReadImage(str(file.path)))
    except (EnvironmentFault, MemoryError):
        raise
    # ITK raises RuntimeError, the check for completeness what gzip and struct raise
    except Exception as error:
        raise RawFileError(f'{file.name}: damaged, cut short, or not usable ({error})') from error
    return values


def _check_nifti(path: Path) -> None:
    """Read a NIfTI file to its end: ITK takes missing voxels, and those that are not finite, for zeros."""
    with path.open('rb') as raw:
        is_zipped = raw.read(2) == _GZIP
    with gzip.open(path) if is_zipped else path.open('rb') as file:
        head = file.read(_NIFTI_1)
        order = '<' if struct.unpack('<i', head[:4])[0] == _NIFTI_1 else '>'
        rank, *sizes = struct.unpack_from(f'{order}8h', head, 40)
        kind, bits = struct.unpack_from(f'{order}2h', head, 70)
        (offset,) = struct.unpack_from(f'{order}f', head, 108)
        file.seek(int(offset))
        length = 0
        # to the end, past the last voxel: only there does a zipped file prove that it is whole
        while chunk := file.read(_CHUNK):
            length += len(chunk)
            if kind in _FLOATS:
                whole = chunk[: len(chunk) // 8 * 8]
                if not np.isfinite(np.frombuffer(whole, order + _FLOATS[kind])).all():
                    raise ValueError('values that are not finite')
    expected = prod(sizes[:rank]) * bits // 8
    if length < expected:
        raise EOFError(f'{length:,} of {expected:,} bytes')


def _check_meta_image(path: Path) -> None:
    """Read a MetaImage to its end: ITK takes a damaged stream as it comes, and a header may name any file."""
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
    if head.get('CompressedData', 'False').lower() == 'true':
        # told another size, or none, ITK fills the volume with whatever lies in memory
        if head.get('CompressedDataSize') != str(len(stored)):
            raise EOFError(f'{len(stored):,} of {head.get("CompressedDataSize")} compressed bytes')
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


def _channel(values: np.ndarray, channel: int, name: str) -> np.ndarray:
    """One entry of the first axis."""
    if channel >= len(values):
        raise RawFileError(f'{name}: no channel {channel} in the shape {values.shape}')
    chosen: np.ndarray = values[channel]
    return chosen


def _as_plane(values: np.ndarray, name: str) -> np.ndarray:
    """(H, W) of a file that holds one frame."""
    plane = values[0] if values.ndim == 3 and len(values) == 1 else values
    if plane.ndim != 2:
        raise RawFileError(f'{name}: shape {values.shape} where one frame is described')
    return plane
