"""The images of a data set on disk: which there are, of what size, with what content."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ultrasam.corpus.layout import DatasetFolder
from ultrasam.hashing import file_sha256

_PNG = b'\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR'
_PNG_HEADER = 24


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image file.

    Args:
        size_hw: pixels; None where it cannot be read.
        sha256: of its bytes; images that one writer made are equal if it is.
    """

    size_hw: tuple[int, int] | None
    sha256: str


class ImageFolder:
    """Lists the images of a data set, without following links that leave it.

    Args:
        folder: of the data set.
        pixels: decode every image and compare its content with the manifest.

    Raises:
        AnnotationError: the manifest is damaged.
    """

    def __init__(self, folder: DatasetFolder, *, pixels: bool) -> None:
        self._pixels = pixels
        self._digests = folder.image_digests()
        self._known: dict[str, ImageFacts] = {}
        self._paths: dict[str, Path] = {}
        self.faults: list[tuple[str, str]] = []
        root = os.path.realpath(folder.images)
        for parent, folders, names in os.walk(folder.images):
            # folders that are links are not walked, but named where they lead out
            for name in [*(name for name in folders if Path(parent, name).is_symlink()), *names]:
                path = Path(parent, name)
                relative = path.relative_to(folder.images).as_posix()
                real = os.path.realpath(path) if path.is_symlink() else ''
                if real and not real.startswith(root + os.sep):
                    self.faults.append((relative, 'links that leave their data set'))
                elif not path.is_file():
                    # a pipe would keep its reader waiting
                    self.faults.append((relative, 'images that cannot be read'))
                else:
                    self._paths[relative] = path
        for name, path in sorted(self._paths.items()):
            self._known[name] = self._look(name, path)

    @property
    def names(self) -> set[str]:
        """Paths of all images below the folder of images."""
        return set(self._paths)

    def facts(self, name: str) -> ImageFacts | None:
        """What is known of an image; None where it is missing."""
        return self._known.get(name)

    def _look(self, name: str, path: Path) -> ImageFacts:
        listed = self._digests.get(name, '')
        size = _header_size(path)
        if self._pixels and size is not None:
            size = _decoded_size(path)
        if size is None:
            self.faults.append((name, 'images that cannot be read'))
            return ImageFacts(None, '')
        if listed and not self._pixels:
            return ImageFacts(size, listed)
        digest = file_sha256(path)
        if listed and digest != listed:
            self.faults.append((name, 'images that are not those of the manifest'))
        return ImageFacts(size, digest)


def _header_size(path: Path) -> tuple[int, int] | None:
    """Height and width as the header states them."""
    try:
        with path.open('rb') as file:
            head = file.read(_PNG_HEADER)
    except OSError:
        return None
    if head.startswith(_PNG) and len(head) == _PNG_HEADER:
        return int.from_bytes(head[20:24], 'big'), int.from_bytes(head[16:20], 'big')
    return _decoded_size(path, decode=False)


def _decoded_size(path: Path, *, decode: bool = True) -> tuple[int, int] | None:
    """Height and width, of an image that can be read to its end."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if decode:
                image.load()
            return image.height, image.width
    # a damaged file makes the decoders raise many kinds of errors
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
