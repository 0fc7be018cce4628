"""The decoder with absorbed projections computes what the modules compute."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from tests.models.test_prompted_classifier import classifier
from tests.models.test_properties import random_prompts, tiny_model
from ultrasam.errors import ConfigError
from ultrasam.predict.engines.absorbed_decoder import AbsorbedDecoder
from ultrasam.structures import PromptBatch

OPTIONS = {
    'published': {},
    'ellipse': {'prompt_encoder.box_mask': 'ellipse'},
    'single skip': {'decoder.mlp_skip': 'single'},
    'three layers': {'decoder.num_layers': 3},
    'one pass': {'num_refinements': 0},
}


def embeddings(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 256, 8, 8, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize('alone', [False, True], ids=['many an image', 'one an image'])
@pytest.mark.parametrize('options', OPTIONS.values(), ids=OPTIONS)
def test_equals_the_modules(options: dict, alone: bool):
    model = tiny_model(**options).model
    absorbed = AbsorbedDecoder(model)
    many = [random_prompts(7, 0), [], random_prompts(6, 1)]
    prompts = PromptBatch.from_prompts([[each] for each in many[0][:3]] if alone else many)
    masks = [None]
    if options.get('num_refinements') != 0:
        masks.append(torch.randn(len(prompts), 1, 32, 32))
    for mask in masks:
        found, wanted = (one.decode(embeddings(3), prompts, mask) for one in (absorbed, model))
        scale = float(wanted.logits.abs().max())
        assert float((found.logits - wanted.logits).abs().max()) < 1e-5 * scale
        torch.testing.assert_close(found.iou, wanted.iou, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_classes_are_those_of_the_modules():
    model = classifier().model
    images = torch.randn(2, 3, 128, 128)
    embedding = model.encode(images)
    prompts = PromptBatch.from_prompts([random_prompts(3, 0), random_prompts(5, 1)])
    found, wanted = (one.decode(embedding, prompts) for one in (AbsorbedDecoder(model), model))
    torch.testing.assert_close(found.class_logits, wanted.class_logits, atol=1e-4, rtol=1e-4)


def test_no_prompt():
    model = tiny_model().model
    found = AbsorbedDecoder(model).decode(embeddings(1), PromptBatch.from_prompts([[]]))
    assert found.logits.shape == (0, 4, 32, 32)


@torch.no_grad()
def test_copies_what_it_needs():
    model = tiny_model().model
    absorbed = AbsorbedDecoder(model)
    prompts = PromptBatch.from_prompts([random_prompts(3, 0)])
    before = absorbed.decode(embeddings(1), prompts)
    for parameter in model.parameters():
        parameter.data.zero_()
    assert torch.equal(absorbed.decode(embeddings(1), prompts).logits, before.logits)


@torch.no_grad()
def test_threads_do_not_see_each_others_images():
    absorbed = AbsorbedDecoder(tiny_model().model)
    prompts = PromptBatch.from_prompts([random_prompts(2, 0)])
    wanted = [absorbed.decode(embeddings(1, seed), prompts).logits for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda i: absorbed.decode(embeddings(1, i % 4), prompts).logits, range(200))
        for i, found in enumerate(answers):
            assert torch.equal(found, wanted[i % 4]), i


def test_a_decoder_of_ones_own_is_refused():
    model = tiny_model().model
    model.mask_decoder.transformer = nn.Identity()
    with pytest.raises(ConfigError, match='Identity is not the decoder'):
        AbsorbedDecoder(model)
