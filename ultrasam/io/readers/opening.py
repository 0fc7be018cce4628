"""Which files an argument means, of which kind each is, and its frames."""

from __future__ import annotations

import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ultrasam.errors import InputError
from ultrasam.masks.run_lengths import MOST_PIXELS

if TYPE_CHECKING:
    from ultrasam.io.readers.source import FrameSource

Kind = Literal['image', 'dicom', 'volume', 'video']

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp')
DICOM_SUFFIXES = ('.dcm', '.dicom')
VOLUME_SUFFIXES = ('.nii', '.nii.gz', '.mha', '.mhd', '.nrrd')
VIDEO_SUFFIXES = ('.avi', '.mp4', '.mov', '.m4v', '.mkv')
INPUT_SUFFIXES = IMAGE_SUFFIXES + DICOM_SUFFIXES + VOLUME_SUFFIXES + VIDEO_SUFFIXES

_HEAD_BYTES = 560  # a NIfTI-2 header has 540
_IMAGE_STARTS = (
    b'\x89PNG\r\n\x1a\n',
    b'\xff\xd8\xff',
    b'II*\0',
    b'MM\0*',
    b'II+\0',
    b'MM\0+',
    b'BM',
)
_META_IMAGE = re.compile(rb'^\s*(ObjectType|NDims|DimSize)\s*=', re.MULTILINE)
# The boxes that a QuickTime or MP4 file starts with, and the brands of still images in the same container.
_QUICKTIME_BOXES = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')
_STILL_BRANDS = (b'heic', b'heix', b'heim', b'heis', b'mif1', b'msf1', b'avif', b'avis')
# A directory of a DICOM medium starts like an image, and holds none.
_DICOM_DIRECTORY = 'dicomdir'


def kind_of(path: Path) -> Kind:
    """Tell the kind of a file from its first bytes, and from its suffix where these say nothing.

    Raises:
        InputError: no such file, an empty one, or none of the formats that can be read.
    """
    if path.is_dir():
        raise InputError(f'{path}: a folder. Name a file in it')
    try:
        with path.open('rb') as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f'{path}: {error.strerror or error}. Check the name and the permissions') from error
    if not head:
        raise InputError(f'{path}: an empty file. Copy or export it again')
    kind = _kind_of_head(_unzipped_head(path, head))
    if kind is not None:
        return kind
    # Old DICOM files lack the mark, and the headers of volumes vary: their readers look closer.
    if path.name.lower().endswith(DICOM_SUFFIXES):
        return 'dicom'
    if path.name.lower().endswith(VOLUME_SUFFIXES):
        return 'volume'
    raise InputError(
        f'{path}: its content is that of no format that can be read. '
        'Give PNG, JPEG, TIFF, BMP, DICOM, NIfTI, MetaImage, NRRD, AVI, MP4, MOV or MKV'
    )


def open_frames(
    path: Path | str,
    *,
    axis: int | None = None,
    window: tuple[float, float] | None = None,
    max_pixels: int = MOST_PIXELS,
) -> FrameSource:
    """Open a file as a series of frames, (H, W, 3), uint8, RGB.

    The kind is told by the content, whatever the name. How values become 8
    bits is stated in :mod:`ultrasam.io.readers.intensity`.

    Args:
        path: an image, a DICOM file, a volume or a video.
        axis: the array axis along which a volume is cut: 0 = z, 1 = y, 2 = x. Other kinds ignore it.
        window: lowest and highest gray value to show, as stored or, in DICOM, after rescaling; it stands
            above the window that a DICOM file states.
        max_pixels: the most pixels of a frame; a volume may have twenty times as many voxels. Images of
            more than 178,956,970 pixels are refused by Pillow in any case.

    Raises:
        InputError: the file is missing, damaged, too large or of an unknown format, it needs a package that is
            not installed, or an option does not fit it.

    Example:
        >>> with open_frames('cine.dcm') as frames:
        ...     for frame in frames:
        ...         print(frame.index, frame.size_hw, frame.spacing_mm)
    """
    path = Path(path)
    kind = kind_of(path)
    # decoders are loaded when there is something to decode: a wrong path is told before
    if kind == 'image':
        from ultrasam.io.readers.image import ImageSource

        return ImageSource(path, window=window, max_pixels=max_pixels)
    if kind == 'dicom':
        from ultrasam.io.readers.dicom import DicomSource

        return DicomSource(path, window=window, max_pixels=max_pixels)
    if kind == 'volume':
        from ultrasam.io.readers.volume import VolumeSource

        return VolumeSource(path, axis=axis, window=window, max_pixels=max_pixels)
    from ultrasam.io.readers.video import VideoSource

    return VideoSource(path, window=window, max_pixels=max_pixels)


def find_inputs(arguments: Sequence[str | Path], *, results: Sequence[Path] = ()) -> list[Path]:
    """List the files that arguments name.

    A file is taken whatever its suffix; a folder gives, sorted and with its
    sub-folders, the files with a suffix of ``INPUT_SUFFIXES`` and the DICOM
    files without one, but nothing hidden; anything else is a pattern
    (``*``, ``?``, ``[...]``, ``**`` for folders at any depth).

    Args:
        arguments: Files, folders and patterns.
        results: Folders that results are written to: folders and patterns leave out what they hold.

    Returns:
        Each file once, in the order of the arguments.

    Raises:
        InputError: An argument that names nothing, a folder without inputs, or one that names results.
    """
    found: dict[Path, None] = {}
    missing = []
    places = [os.path.realpath(folder) + os.sep for folder in results]
    for argument in arguments:
        if (os.path.realpath(argument) + os.sep).startswith(tuple(places)):
            raise InputError(f'{argument}: lies where the results go: choose another output folder (--out)')
        paths = [p for p in _expand(Path(argument)) if not os.path.realpath(p).startswith(tuple(places))]
        if not paths:
            missing.append(str(argument))
        found.update(dict.fromkeys(paths))
    if missing:
        raise InputError(
            f'nothing to read at: {", ".join(missing)}. Name files, patterns, or folders with files of: '
            f'{" ".join(INPUT_SUFFIXES)}'
        )
    return list(found)


def _kind_of_head(head: bytes) -> Kind | None:
    # First: a DICOM file may start as a TIFF file as well.
    if head[128:132] == b'DICM':
        return 'dicom'
    if head.startswith(_IMAGE_STARTS):
        return 'image'
    if head.startswith(b'NRRD') or _is_nifti(head) or _META_IMAGE.search(head):
        return 'volume'
    is_quicktime = head[4:8] in _QUICKTIME_BOXES and head[8:12] not in _STILL_BRANDS
    if (
        is_quicktime
        or head.startswith(b'\x1a\x45\xdf\xa3')
        or (head[:4] == b'RIFF' and head[8:12] == b'AVI ')
    ):
        return 'video'
    return None


def _is_nifti(head: bytes) -> bool:
    return head[344:347] == b'n+1' or head[4:7] == b'n+2'


def _unzipped_head(path: Path, head: bytes) -> bytes:
    if not head.startswith(b'\x1f\x8b'):
        return head
    try:
        with gzip.open(path) as file:
            return file.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return head


def _expand(argument: Path) -> list[Path]:
    if argument.is_file():
        return [argument]
    if argument.is_dir():
        return sorted(_walk(argument))
    expanded: list[Path] = []
    for match in sorted(glob.glob(str(argument), recursive=True)):
        path = Path(match)
        expanded += [path] if path.is_file() else sorted(_walk(path))
    return expanded


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        for name in names:
            path = Path(parent, name)
            if not name.startswith('.') and path.is_file() and (_has_suffix(name) or _is_bare_dicom(path)):
                yield path


def _has_suffix(name: str) -> bool:
    return name.lower().endswith(INPUT_SUFFIXES)


def _is_bare_dicom(path: Path) -> bool:
    if path.name.lower() == _DICOM_DIRECTORY:
        return False
    try:
        with path.open('rb') as file:
            return file.read(132)[128:] == b'DICM'
    except OSError:
        return False
