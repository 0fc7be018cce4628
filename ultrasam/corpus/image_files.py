"""The images of a data set on disk: which there are, of what size, with what content."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ultrasam.corpus.layout import DatasetFolder
from ultrasam.errors import InputError
from ultrasam.hashing import file_sha256
from ultrasam.io.readers.image import read_image, stated_size_hw


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
        size = _size_hw(path, decode=self._pixels)
        if size is None:
            self.faults.append((name, 'images that cannot be read'))
            return ImageFacts(None, '')
        if listed and not self._pixels:
            return ImageFacts(size, listed)
        digest = file_sha256(path)
        if listed and digest != listed:
            self.faults.append((name, 'images that are not those of the manifest'))
        return ImageFacts(size, digest)


def _size_hw(path: Path, *, decode: bool) -> tuple[int, int] | None:
    """Return height and width, upright, of an image whose header, or all of it, can be read."""
    try:
        if not decode:
            return stated_size_hw(path)
        height, width = read_image(path).shape[:2]
        return height, width
    except InputError:
        return None
