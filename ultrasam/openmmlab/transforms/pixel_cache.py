"""Decoded pictures kept in files that all data workers map into memory."""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ultrasam.atomic import publish_bytes
from ultrasam.errors import ConfigError, OutputError

# magic, height, width, channels, check sum of the pixels; filled up to 64 bytes
_HEADER = struct.Struct('<8sIIII40x')
_MAGIC = b'USPIXEL2'
_FOLDERS = 256


class PixelCache:
    """Pixels of image files, each in a file of its own.

    An entry belongs to a path and to the size and the times of last change of
    the file there; when these differ, the picture is decoded anew and takes the
    place of the old entry. Entries appear whole or not at all, are checked
    against a check sum when a process first reads them, and a damaged one
    counts as missing.

    Of a picture whose three channels are equal one is kept.

    Args:
        folder: where the files are; made when something is kept.
        gigabytes: most that they may take, at least 1. It is divided among 256
            folders; into one that is full nothing is added, and what is there
            stays.

    Raises:
        ConfigError: fewer gigabytes.
    """

    def __init__(self, folder: str | os.PathLike[str], *, gigabytes: float = 100.0) -> None:
        if not gigabytes >= 1:
            raise ConfigError(f'gigabytes={gigabytes}: give at least 1 to the cache of pictures')
        self.folder = os.path.abspath(folder)
        self.gigabytes = gigabytes
        self._checked: set[str] = set()

    def key(self, source: str | os.PathLike[str]) -> str:
        """The key of an image file as it is now; to be asked for before the file is decoded.

        Raises:
            OSError: there is no such file.
        """
        path = os.path.abspath(source)
        found = os.stat(path)
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:40]
        return f'{name}-{found.st_size:x}-{found.st_mtime_ns:x}-{found.st_ctime_ns:x}'

    def read(self, key: str) -> np.ndarray | None:
        """Pixels (H, W) or (H, W, 3), uint8, that must not be written to; None if they are not kept."""
        place = self._place(key)
        try:
            with open(place, 'rb') as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # an empty file cannot be mapped; a cache that cannot be read costs speed only
        except (OSError, ValueError):
            return None
        if len(content) < _HEADER.size:
            return None
        magic, height, width, channels, check = _HEADER.unpack_from(content)
        pixels = np.frombuffer(content, np.uint8, offset=_HEADER.size)
        if magic != _MAGIC or pixels.size != height * width * channels:
            return None
        if key not in self._checked and zlib.crc32(memoryview(content)[_HEADER.size :]) != check:
            return None
        self._checked.add(key)
        return pixels.reshape((height, width) if channels == 1 else (height, width, channels))

    def add(self, key: str, pixels: np.ndarray) -> bool:
        """Keep pixels (H, W) or (H, W, 3), uint8, under a key; False if there is no room for them."""
        pixels = one_channel(pixels)
        height, width = pixels.shape[:2]
        header = _HEADER.pack(
            _MAGIC, height, width, pixels.size // (height * width or 1), zlib.crc32(pixels.tobytes())
        )
        place = self._place(key)
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if self._is_full(place, len(header) + pixels.size):
                return False
            publish_bytes(place, header + pixels.tobytes(), overwrite=True)
        # a full disk or a folder without permission costs speed, not the run
        except (OSError, OutputError):
            return False
        return True

    def _is_full(self, place: str, size: int) -> bool:
        """Whether there is no room for so many bytes; removes older entries of the same picture."""
        taken, picture = 0, os.path.basename(place).split('-')[0]
        with os.scandir(os.path.dirname(place)) as entries:
            for entry in entries:
                if entry.name.split('-')[0] == picture:
                    Path(entry.path).unlink(missing_ok=True)
                else:
                    taken += entry.stat().st_size
        return taken + size > self.gigabytes * 1e9 / _FOLDERS

    def _place(self, key: str) -> str:
        return f'{self.folder}/{key[:2]}/{key}.pixels'


def one_channel(pixels: np.ndarray) -> np.ndarray:
    """The one channel (H, W) of a picture (H, W, 3) whose channels are equal; any other picture as it is."""
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        first = pixels[..., 0]
        # a look at one row settles most pictures in colour
        for part in (slice(pixels.shape[0] // 2, pixels.shape[0] // 2 + 1), slice(None)):
            if any((pixels[part, :, i] != first[part]).any() for i in (1, 2)):
                return pixels
        return first
    return pixels
