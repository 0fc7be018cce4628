"""Batches that suit the memory."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ultrasam import UltraSamInferencer
from ultrasam.errors import ConfigError
from ultrasam.predict import EncodedImage
from ultrasam.predict.batch import BatchEncoder, MemoryLimitError, is_out_of_memory
from ultrasam.predict.engines.torch import LARGEST_BATCH, fitting_batch

IMAGES = [np.full((8, 8 + i, 3), i, np.uint8) for i in range(7)]


class Crowded:
    """Encodes as many images as memory holds; those of one width never fit."""

    def __init__(self, holds: int, error: Exception, too_wide: int = -1) -> None:
        self.holds, self.error, self.too_wide = holds, error, too_wide
        self.engine = SimpleNamespace(batch_size=1)
        self.sizes: list[int] = []

    def encode_batch(self, images):
        self.sizes.append(len(images))
        if len(images) > self.holds or any(image.shape[1] == self.too_wide for image in images):
            raise self.error
        return [EncodedImage(np.array(float(image.shape[1])), None) for image in images]


def widths(encoded) -> list[float]:
    return [float(each.embedding) for each in encoded]


@pytest.mark.parametrize(
    'error',
    [
        MemoryError(),
        RuntimeError('CUDA error: out of memory'),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'),
    ],
)
def test_batches_are_halved_where_memory_runs_out(error: Exception, caplog: pytest.LogCaptureFixture):
    crowded = Crowded(2, error)
    encoder = BatchEncoder(crowded, 7)
    with caplog.at_level(logging.WARNING):
        assert widths(encoder.encode(IMAGES)) == [8, 9, 10, 11, 12, 13, 14]
        assert widths(encoder.encode(IMAGES[:3])) == [8, 9, 10]
    assert crowded.sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        'not enough memory to encode 7 images at once: going on with 3'
    ]


def test_an_image_that_never_fits_is_the_only_one_lost():
    encoder = BatchEncoder(Crowded(9, MemoryError(), too_wide=11), 4)
    done = encoder.encode(IMAGES)
    assert isinstance(done.pop(3), MemoryLimitError)
    assert widths(done) == [8, 9, 10, 12, 13, 14]


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match='shapes'):
        BatchEncoder(Crowded(0, RuntimeError('shapes cannot be multiplied')), 4).encode(IMAGES)
    assert not is_out_of_memory(ValueError('out of memory'))


@pytest.mark.parametrize('size', [0, -3])
def test_impossible_sizes(size: int):
    with pytest.raises(ConfigError, match=f'batch_size={size}'):
        BatchEncoder(Crowded(9, MemoryError()), size)


def test_size_by_free_memory(monkeypatch: pytest.MonkeyPatch):
    assert fitting_batch(10, 1000) == 1
    assert fitting_batch(8_000, 1_000) == 4
    assert fitting_batch(10**12, 1000) == LARGEST_BATCH
    assert BatchEncoder(Crowded(9, MemoryError())).size == 1


def test_a_gpu_batch_follows_the_memory_of_the_first_image(
    checkpoint: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    inferencer = UltraSamInferencer(checkpoint, device='cpu')
    for name, value in {
        'reset_peak_memory_stats': None,
        'empty_cache': None,
        'memory_allocated': 3_000,
        'max_memory_allocated': 4_000,
        'mem_get_info': (10_000, 20_000),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    inferencer.engine._is_to_be_measured = True
    encoder = BatchEncoder(inferencer)
    assert encoder.size == 1
    encoder.encode([image])
    assert encoder.size == 6


def test_batches_encode_as_single_images_do(checkpoint: Path, image: np.ndarray):
    inferencer = UltraSamInferencer(checkpoint, device='cpu')
    frames = [image, image[:200, :150], image[::2, ::2], image[:, 100:]]
    alone, together = (BatchEncoder(inferencer, size).encode(frames) for size in (1, 3))
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one.embedding, other.embedding, atol=1e-5)
        assert one.geometry == other.geometry
