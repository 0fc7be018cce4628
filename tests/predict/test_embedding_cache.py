"""Embeddings on disk: by all that decides about them, safe with two processes, and never the end of a run."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.golden import ROOT
from ultrasam import UltraSamInferencer
from ultrasam.errors import ConfigError, OutputError
from ultrasam.predict import Predictor
from ultrasam.predict.embedding_cache import EmbeddingCache
from ultrasam.predict.geometry import ImageGeometry

EMBEDDING = np.arange(64, dtype=np.float32).reshape(4, 4, 4)


def image_of(number: int) -> np.ndarray:
    return np.full((2, 3, 3), number, np.uint8)


def test_an_entry_comes_back_as_it_was(tmp_path: Path):
    cache = EmbeddingCache(tmp_path, 'a model')
    assert cache.get(image_of(1)) is None
    cache.put(image_of(1), EMBEDDING)
    assert np.array_equal(EmbeddingCache(tmp_path, 'a model').get(image_of(1)), EMBEDDING)
    assert cache.get(image_of(2)) is None
    assert EmbeddingCache(tmp_path, 'another model').get(image_of(1)) is None
    assert cache.get(image_of(1).reshape(3, 2, 3)) is None


@pytest.mark.parametrize('place', [0, 40, 200, -1])
def test_a_damaged_entry_is_none(tmp_path: Path, place: int):
    cache = EmbeddingCache(tmp_path, 'a model')
    cache.put(image_of(1), EMBEDDING)
    path = cache.path(image_of(1))
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert cache.get(image_of(1)) is None
    path.write_bytes(content[: len(content) // 2])
    assert cache.get(image_of(1)) is None


def test_the_oldest_entries_go(tmp_path: Path, monkeypatch):
    monkeypatch.setattr('ultrasam.predict.embedding_cache._PUTS_BETWEEN_SHRINKS', 1)
    cache = EmbeddingCache(tmp_path, 'a model', max_bytes=2000)
    for number in range(6):
        cache.put(image_of(number), EMBEDDING)
        os.utime(cache.path(image_of(number)), (number, number))
    kept = [number for number in range(6) if cache.get(image_of(number)) is not None]
    assert kept == list(range(6 - len(kept), 6)) and 0 < len(kept) < 6
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000


def fill(folder: Path, first: int) -> int:
    """Put and read entries in a folder far too small for them."""
    import ultrasam.predict.embedding_cache as module

    module._PUTS_BETWEEN_SHRINKS = 1
    cache = EmbeddingCache(folder, 'a model', max_bytes=3000)
    for number in range(first, first + 100):
        cache.put(image_of(number), EMBEDDING)
        found = cache.get(image_of(number))
        assert found is None or np.array_equal(found, EMBEDDING)
    return 100


def test_two_processes_prune_one_folder(tmp_path: Path):
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(fill, [tmp_path] * 2, [0, 100])) == [100, 100]
    assert not list(tmp_path.glob('.tmp-*'))


def test_a_full_disk_costs_the_cache_and_not_the_run(tmp_path: Path, monkeypatch, caplog):
    calls = []

    def full(*arguments, **options):
        calls.append(arguments)
        raise OutputError('no space left on the disk')

    monkeypatch.setattr('ultrasam.predict.embedding_cache.publish_bytes', full)
    predictor = Predictor(cache_dir=tmp_path)
    for path in sorted((ROOT / 'sample_dataset/images').iterdir())[:2]:
        predictor.set_image(path)
    assert len(calls) == 1
    assert 'embeddings are not kept any more: no space left' in caplog.text


def test_a_cached_image_is_neither_resized_nor_encoded(tmp_path: Path, image: np.ndarray, monkeypatch):
    first = Predictor(cache_dir=tmp_path).encode(image)
    monkeypatch.setattr(ImageGeometry, 'resize', None)
    again = Predictor(cache_dir=tmp_path)
    monkeypatch.setattr(again.engine, 'encode', None)
    assert np.array_equal(again.encode(image).embedding, first.embedding)


def test_precision_engine_and_weights_have_keys_of_their_own(checkpoint: Path):
    keys = [
        Predictor().engine.info.key,
        Predictor(engine='torch', device='cpu').engine.info.key,
        Predictor(engine='torch', device='cpu', precision='bf16').engine.info.key,
        UltraSamInferencer(checkpoint, device='cpu').engine.info.key,
    ]
    assert len(set(keys)) == 4
    assert UltraSamInferencer(checkpoint, device='cpu').engine.info.key == keys[3]


def test_the_precision_of_the_encoder_alone_is_part_of_the_key(checkpoint: Path):
    from ultrasam.predict.engines.torch import embedding_key

    model = UltraSamInferencer(checkpoint, device='cpu').model
    before = embedding_key(model.model, {}, bfloat16=False)
    model.backbone.inference_dtype = 'bfloat16'
    assert embedding_key(model.model, {}, bfloat16=False) != before


def test_a_folder_that_cannot_be(tmp_path: Path):
    (tmp_path / 'file').write_text('in the way')
    with pytest.raises(ConfigError, match='cannot keep embeddings here'):
        EmbeddingCache(tmp_path / 'file' / 'cache', 'a model')
