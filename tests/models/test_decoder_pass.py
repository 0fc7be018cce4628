"""Passes of the decoder through torch.compile: the numbers of a plain model, in few programs."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.models.test_prompted_classifier import classifier
from tests.models.test_properties import batch_of, item, random_prompts, tiny_model
from tests.training.test_switches import assert_same_step
from ultrasam.errors import ConfigError
from ultrasam.models.decoder_pass import bucket

BACKENDS = ['eager', pytest.param('inductor', marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def programs() -> Iterator[Any]:
    """Counters of what was compiled, from nothing."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters
    torch._dynamo.reset()


def compiled_model(backend: str, **options: Any) -> torch.nn.Module:
    # fullgraph refuses any break of the graph
    return tiny_model(compile_decoder=dict(backend=backend, fullgraph=True), **options)


def predicted(model: torch.nn.Module, *counts: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    data = batch_of(*(item(random_prompts(count, i), i) for i, count in enumerate(counts)))
    with torch.no_grad():
        samples = model.eval()(**model.data_preprocessor(data, False), mode='predict')
    return [(sample.pred_instances.scores, sample.pred_instances.masks) for sample in samples]


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_step(backend: str, programs: Any) -> None:
    assert_same_step(compiled_model(backend), tiny_model(), 1e-6 if backend == 'eager' else 1e-4)
    assert not programs['graph_break']
    assert programs['stats']['unique_graphs'] >= 2  # without and with a mask prompt


@pytest.mark.parametrize('backend', BACKENDS)
def test_predictions(backend: str, programs: Any) -> None:
    compiled, plain = compiled_model(backend), tiny_model()
    for counts in ((2, 3), (0, 0), (5, 1), (1,)):
        for found, wanted in zip(predicted(compiled, *counts), predicted(plain, *counts), strict=True):
            torch.testing.assert_close(found[0], wanted[0], rtol=1e-4, atol=1e-5)
            assert torch.equal(found[1], wanted[1])
    assert programs['stats']['unique_graphs'] > 0


def test_rows_of_one_bucket_share_a_program(programs: Any) -> None:
    model = compiled_model('eager').eval()
    embedding = torch.randn(1, 256, *[model.prompt_encoder.map_size] * 2)
    cells = embedding.flatten(2).transpose(1, 2)
    for rows in (9, 12, 16):
        coords, labels = torch.rand(rows, 2, 2), torch.tensor([[2, 3]]).expand(rows, 2)
        with torch.no_grad():
            logits, iou = model._run_pass(
                model, cells, torch.zeros(rows, dtype=torch.int64), coords, labels, None, slice(1, 4), False
            )
        assert (len(logits), len(iou)) == (rows, rows)
    assert programs['stats']['unique_graphs'] == 1


def test_rows_are_filled_by_half_at_most() -> None:
    sizes = [bucket(rows) for rows in range(1, 100)]
    assert all(rows <= size < 2 * rows or rows == size == 1 for rows, size in enumerate(sizes, 1))
    assert len(set(sizes)) == 11


def test_names_are_those_of_a_plain_model() -> None:
    compiled = compiled_model('eager')
    assert compiled.state_dict().keys() == tiny_model().state_dict().keys()
    copy.deepcopy(compiled)


def test_refused_where_the_head_is_looked_into() -> None:
    with pytest.raises(ConfigError, match='compile_decoder'):
        classifier(compile_decoder=True)
