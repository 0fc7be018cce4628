"""Image embeddings on disk, so that an image is encoded once for all sessions."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import zlib
from pathlib import Path

import numpy as np

from ultrasam.atomic import publish_bytes
from ultrasam.errors import ConfigError, OutputError

_VERSION = b'3'
_CHECKSUM_BYTES = 4
# the folder is looked through once in so many entries, and shrunk to this share of its limit
_PUTS_BETWEEN_SHRINKS = 50
_SHARE_KEPT = 0.9
_logger = logging.getLogger(__name__)


class EmbeddingCache:
    """Keeps embeddings by content: of the image, and of all that decides how it is encoded.

    A damaged entry is encoded again. The oldest entries go when the folder grows over its limit. Several processes
    may share a folder. A disk that is full ends the caching, with a warning, and not the run.

    Args:
        folder: Folder of the entries; made if it is not there.
        model_key: Digest of the encoder weights, their precision and the preprocessing.
        max_bytes: Limit of the folder; 4 GB hold about 1,000 embeddings of ViT-B.

    Raises:
        ConfigError: The folder cannot be written to.
    """

    def __init__(self, folder: Path, model_key: str, max_bytes: int = 4_000_000_000) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f'{folder}: cannot keep embeddings here ({error})') from None
        if not os.access(folder, os.W_OK):
            raise ConfigError(f'{folder}: cannot keep embeddings here, the folder is not writable')
        self.folder = folder
        self.max_bytes = max_bytes
        self._key = hashlib.sha256(_VERSION + model_key.encode())
        self._puts = 0
        self._is_full = False

    def path(self, image: np.ndarray) -> Path:
        """Return the file of an image (H, W, 3), uint8."""
        key = self._key.copy()
        key.update(repr(image.shape).encode())
        key.update(np.ascontiguousarray(image).tobytes())
        return self.folder / f'{key.hexdigest()}.npy'

    def get(self, image: np.ndarray) -> np.ndarray | None:
        """Return the embedding (C, h, w), float32, or None."""
        path = self.path(image)
        try:
            content = path.read_bytes()
            body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
            if zlib.crc32(body) != int.from_bytes(checksum, 'little'):
                return None
            embedding: np.ndarray = np.load(io.BytesIO(body), allow_pickle=False)
            # what was used last goes last
            os.utime(path)
        except (OSError, ValueError, EOFError):
            return None
        return embedding

    def put(self, image: np.ndarray, embedding: np.ndarray) -> None:
        """Keep an embedding (C, h, w), float32, if the disk has room."""
        if self._is_full:
            return
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(embedding, np.float32))
        body = buffer.getvalue()
        try:
            publish_bytes(
                self.path(image), body + zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, 'little'), overwrite=True
            )
        except OutputError as error:
            self._is_full = True
            _logger.warning('%s: embeddings are not kept any more: %s', self.folder, error)
            return
        if self._puts % _PUTS_BETWEEN_SHRINKS == 0:
            self._shrink()
        self._puts += 1

    def _shrink(self) -> None:
        """Remove the oldest entries; another process may be doing the same."""
        entries = []
        for entry in self.folder.glob('*.npy'):
            with contextlib.suppress(OSError):
                state = entry.stat()
                entries.append((state.st_mtime, state.st_size, entry))
        if sum(size for _, size, _ in entries) <= self.max_bytes:
            return
        total = 0
        for _, size, entry in sorted(entries, reverse=True):
            total += size
            if total > self.max_bytes * _SHARE_KEPT:
                with contextlib.suppress(OSError):
                    entry.unlink()
