"""Encodes frames several at once, as many as memory allows."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Sequence

import numpy as np

from ultrasam.errors import ConfigError, UltraSamError
from ultrasam.predict.predictor import EncodedImage, Predictor

_logger = logging.getLogger(__name__)

_PHRASES = (
    'out of memory',
    'not enough memory',
    "can't allocate memory",
    'failed to allocate memory',
    'bad allocation',
)


class MemoryLimitError(UltraSamError, MemoryError):
    """A single frame for which memory does not suffice."""


class BatchEncoder:
    """Encodes images in batches whose size suits the memory.

    Args:
        predictor: The model.
        batch_size: Images at once; None for as many as the engine advises.

    Raises:
        ConfigError: A batch size below 1.
    """

    def __init__(self, predictor: Predictor, batch_size: int | None = None) -> None:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f'batch_size={batch_size}: give 1 or more, or None to let it be chosen')
        self._predictor = predictor
        self._limit = batch_size
        self._has_warned = False

    @property
    def size(self) -> int:
        """Images encoded at once."""
        return self._limit or self._predictor.engine.batch_size

    def encode(self, images: Sequence[np.ndarray]) -> list[EncodedImage | MemoryLimitError]:
        """Encode images, in smaller batches where memory runs out.

        Args:
            images: RGB images (H, W, 3), uint8, of any sizes.

        Returns:
            For each image its embedding, or the error of one that does not fit even alone.
        """
        done: list[EncodedImage | MemoryLimitError] = []
        while len(done) < len(images):
            part = images[len(done) : len(done) + self.size]
            encoded = self._encode_part(part)
            if encoded is not None:
                done += encoded
            elif len(part) == 1:
                done.append(MemoryLimitError('not enough memory to encode it'))
            else:
                self._shrink(len(part))
        return done

    def _encode_part(self, images: Sequence[np.ndarray]) -> list[EncodedImage] | None:
        """Return the embeddings, or None if memory ran out."""
        try:
            return self._predictor.encode_batch(images)
        except Exception as error:  # onnxruntime's errors share no base class
            if not is_out_of_memory(error):
                raise
        # only here, after the error and the tensors that it held are gone, can memory be given back
        gc.collect()
        if 'torch' in sys.modules and sys.modules['torch'].cuda.is_available():
            sys.modules['torch'].cuda.empty_cache()
        return None

    def _shrink(self, size: int) -> None:
        self._limit = max(1, size // 2)
        if not self._has_warned:
            _logger.warning(
                'not enough memory to encode %d images at once: going on with %d', size, self._limit
            )
            self._has_warned = True


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError):
        return True
    is_of_engine = isinstance(error, RuntimeError) or type(error).__module__.startswith('onnxruntime')
    return is_of_engine and any(phrase in str(error).lower() for phrase in _PHRASES)
