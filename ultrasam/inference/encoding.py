"""Encodes frames several at once, as many as memory allows."""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmdet.structures import DetDataSample
from torch import Tensor

from ultrasam.errors import ConfigError, UltraSamError
from ultrasam.inference.inferencer import UltraSamInferencer

_logger = logging.getLogger(__name__)

# On one core the shipped model takes 0.063 s a frame, one by one or eight at once: more only delay the first mask.
CPU_BATCH = 1
# Not measured: a bound on how long the first frame of a batch waits for the last.
LARGEST_BATCH = 16
# Of the memory that is free; the rest is for masks at the size of the images.
_SHARE = 0.6
_PHRASES = ('out of memory', 'not enough memory', "can't allocate memory")


class MemoryLimitError(UltraSamError, MemoryError):
    """A single frame for which memory does not suffice."""


@dataclass(frozen=True)
class EncodedImage:
    """What answers need of an image.

    Args:
        embedding: (1, C, h, w), float32, on the device.
        sample: sizes of the image and of the network input.
    """

    embedding: Tensor
    sample: DetDataSample


class BatchEncoder:
    """Encodes images in batches whose size suits the memory.

    Args:
        inferencer: the model.
        batch_size: images at once; None chooses: on a GPU the first image goes alone, which shows how much
            memory one takes, and the next as many as fit; elsewhere ``CPU_BATCH``.

    Raises:
        ConfigError: a batch size below 1.
    """

    def __init__(self, inferencer: UltraSamInferencer, batch_size: int | None = None) -> None:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f'batch_size={batch_size}: give 1 or more, or None to let it be chosen')
        self._inferencer = inferencer
        self._is_cuda = inferencer.device.type == 'cuda'
        self._is_to_be_measured = batch_size is None and self._is_cuda
        self._has_warned = False
        self.size = batch_size or (1 if self._is_cuda else CPU_BATCH)

    def encode(self, images: Sequence[np.ndarray]) -> list[EncodedImage | MemoryLimitError]:
        """Encode images, in smaller batches where memory runs out.

        Args:
            images: (H, W, 3), uint8, RGB, of any sizes.

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
                done.append(MemoryLimitError(f'not enough memory on {self._inferencer.device} to encode it'))
            else:
                self._shrink(len(part))
        return done

    def _encode_part(self, images: Sequence[np.ndarray]) -> list[EncodedImage | MemoryLimitError] | None:
        """The embeddings, or None if memory ran out."""
        if self._is_to_be_measured:
            torch.cuda.reset_peak_memory_stats(self._inferencer.device)
            before = torch.cuda.memory_allocated(self._inferencer.device)
        try:
            embeddings, samples = self._inferencer.encode(images)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if self._is_to_be_measured:
                self._measure(before)
            return [EncodedImage(e[None], sample) for e, sample in zip(embeddings, samples, strict=True)]
        # only here, after the error and the tensors that it held are gone, can memory be given back
        gc.collect()
        if self._is_cuda:
            torch.cuda.empty_cache()
        return None

    def _measure(self, before: int) -> None:
        device = self._inferencer.device
        each = torch.cuda.max_memory_allocated(device) - before
        # an embedding from the cache shows nothing
        if each > 0 and self._inferencer.cache is None:
            torch.cuda.empty_cache()
            free, _ = torch.cuda.mem_get_info(device)
            self.size = fitting_batch(free, each)
            self._is_to_be_measured = False

    def _shrink(self, size: int) -> None:
        self.size = max(1, size // 2)
        if not self._has_warned:
            _logger.warning(
                'not enough memory to encode %d images at once: going on with %d', size, self.size
            )
            self._has_warned = True


def fitting_batch(free_bytes: int, bytes_each: int) -> int:
    """How many images fit into free memory, from 1 to ``LARGEST_BATCH``.

    Example:
        >>> fitting_batch(8_000_000_000, 1_000_000_000)
        4
    """
    return int(min(LARGEST_BATCH, max(1, _SHARE * free_bytes // max(1, bytes_each))))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _PHRASES)
