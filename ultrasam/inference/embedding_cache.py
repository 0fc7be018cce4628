"""Image embeddings on disk, so that an image is encoded once for all sessions."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ultrasam.checkpoints.notes import note_of_model
from ultrasam.errors import ConfigError

_VERSION = b'2'


class EmbeddingCache:
    """Embeddings by content: of the image, of the weights, and of how it was encoded.

    An entry that was damaged, or written by half, is recomputed.  The oldest
    entries go when the folder grows over its limit.

    Args:
        folder: where the entries are; made if it is not there.
        model: whose embeddings these are.
        bfloat16: whether they are computed in bfloat16.
        max_bytes: limit of the folder; 4 GB hold about 1,000 embeddings of ViT-B.

    Raises:
        ConfigError: the folder cannot be written.
    """

    def __init__(
        self, folder: Path, model: nn.Module, bfloat16: bool, max_bytes: int = 4_000_000_000
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f'{folder}: cannot keep embeddings here ({error})') from None
        if not os.access(folder, os.W_OK):
            raise ConfigError(f'{folder}: cannot keep embeddings here, the folder is not writable')
        self.folder = folder
        self.max_bytes = max_bytes
        self.key = hashlib.sha256(_VERSION + bytes([bfloat16]))
        # an encoder of equal weights: a prompted classifier keeps more of it
        self.key.update(type(model).__name__.encode())
        # equal weights see other pixels where images are otherwise normalised
        self.key.update(repr(sorted(note_of_model(model).items())).encode())
        for name, tensor in model.state_dict().items():
            if name.startswith('backbone.'):
                self.key.update(name.encode())
                self.key.update(tensor.detach().cpu().contiguous().numpy().tobytes())

    def path(self, image: np.ndarray) -> Path:
        """The file of an image (H, W, 3), uint8."""
        key = self.key.copy()
        key.update(repr(image.shape).encode())
        key.update(np.ascontiguousarray(image).tobytes())
        return self.folder / f'{key.hexdigest()}.npy'

    def get(self, image: np.ndarray) -> Tensor | None:
        """The embedding (C, h, w), float32, on the CPU, or None."""
        path = self.path(image)
        try:
            stored = np.load(path, allow_pickle=False)
            checksum, values = int(stored[0].view(np.uint32)), stored[4:]
            shape = tuple(int(n) for n in stored[1:4])
            values = values.reshape(shape)
        except (OSError, ValueError, EOFError, IndexError):
            return None
        if zlib.crc32(values.tobytes()) != checksum:
            return None
        os.utime(path)
        return torch.from_numpy(values)

    def put(self, image: np.ndarray, embedding: Tensor) -> None:
        """Keep an embedding (C, h, w), float32."""
        values = np.ascontiguousarray(embedding.cpu().numpy(), np.float32)
        checksum = np.array([zlib.crc32(values.tobytes())], np.uint32).view(np.float32)
        stored = np.concatenate([checksum, np.array(values.shape, np.float32), values.ravel()])
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix='.tmp', delete=False) as file:
            np.save(file, stored)
        os.replace(file.name, self.path(image))
        self._shrink()

    def _shrink(self) -> None:
        entries = sorted(
            ((e.stat().st_mtime, e.stat().st_size, e) for e in self.folder.glob('*.npy')), reverse=True
        )
        total = 0
        for _, size, entry in entries:
            total += size
            if total > self.max_bytes:
                entry.unlink(missing_ok=True)
