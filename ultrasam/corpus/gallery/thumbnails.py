"""Small copies of images, kept as long as their images stay as they are."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ultrasam.errors import InputError

THUMBNAIL_SIDE = 256
VIEW_SIDE = 1024
# Changes with whatever changes the bytes of a thumbnail, so that old ones are made again.
_VERSION = 1
_QUALITY = 82
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'


@dataclass(frozen=True)
class Thumbnail:
    """One small copy.

    Args:
        source: the image.
        size_hw: of the image as its annotations state it, in pixels.
        folder: where the copies lie.
        stem: of the name of the copy, which changes with the image.
        with_view: make a larger copy, too.
    """

    source: Path
    size_hw: tuple[int, int]
    folder: Path
    stem: str
    with_view: bool

    @property
    def names(self) -> dict[str, int]:
        """Longer side of each copy in pixels, by its file name."""
        copies = {f'{self.stem}.jpg': THUMBNAIL_SIDE}
        return {**copies, f'{self.stem}.view.jpg': VIEW_SIDE} if self.with_view else copies


def plan_thumbnail(
    source: Path, name: str, size_hw: tuple[int, int], *, inside: Path, folder: Path, with_view: bool
) -> Thumbnail:
    """Name the copy of an image, by what the image is and when it was written.

    Args:
        source: the image.
        name: of the image in its data set.
        size_hw: as its annotations state it, in pixels.
        inside: folder that the image must not leave, by a link, either.
        folder: of the copies.
        with_view: make a larger copy, too.

    Raises:
        InputError: there is no such image, or it is a link that leaves its folder; the message is the kind of fault.
    """
    try:
        stat = source.stat()
    except OSError as error:
        raise InputError('missing images') from error
    root = os.path.realpath(inside)
    if not os.path.realpath(source).startswith(root + os.sep):
        raise InputError('links that leave their data set')
    marks = (_VERSION, name, size_hw, stat.st_size, stat.st_mtime_ns, THUMBNAIL_SIDE)
    stem = hashlib.sha256(repr(marks).encode()).hexdigest()[:20]
    return Thumbnail(source, size_hw, folder, stem, with_view)


def make_thumbnail(thumbnail: Thumbnail) -> str:
    """Write the copies that are not there yet.

    Returns:
        What is wrong with the image, as a kind of fault; empty if nothing is.
    """
    from PIL import Image

    missing = {name: side for name, side in thumbnail.names.items() if not _is_whole(thumbnail.folder / name)}
    if not missing:
        return ''
    try:
        with Image.open(thumbnail.source) as opened:
            size_hw = (opened.height, opened.width)
            picture = opened.convert('RGB')
    # a damaged file makes the decoders raise many kinds of errors
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 'images that cannot be read'
    if size_hw != thumbnail.size_hw:
        return 'images of another size than their annotations state'
    for name, side in missing.items():
        copy = picture.copy()
        copy.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        temporary = thumbnail.folder / f'.{name}.{os.getpid()}'
        copy.save(temporary, 'JPEG', quality=_QUALITY)
        os.replace(temporary, thumbnail.folder / name)
    return ''


def _is_whole(path: Path) -> bool:
    """Whether a JPEG file is there from its first marker to its last, which a disk that failed does not leave."""
    try:
        with path.open('rb') as file:
            start = file.read(2)
            file.seek(-2, os.SEEK_END)
            return start == _JPEG_START and file.read() == _JPEG_END
    except OSError:
        return False
