"""The decoder of inference on a CPU computes what the plain modules compute, whatever it keeps between prompts."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import ultrasam.models.products as products_module
from tests.models.test_properties import SIZE, random_prompts, tiny_model
from ultrasam.models import UltraSam
from ultrasam.models.mask_head import ALL_MASKS, MULTI_MASK, SINGLE_MASK
from ultrasam.structures import Prompt, PromptBatch

MAP = SIZE // 16
MODELS = {'published': {}, 'ellipse': {'prompt_encoder.box_mask': 'ellipse'}}


@pytest.fixture(scope='module', params=MODELS)
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    return tiny_model(**MODELS[request.param])


def embedding_of(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 256, MAP, MAP, generator=torch.Generator().manual_seed(seed))


def masks_of(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 4 * MAP, 4 * MAP, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def decode(model, embedding, prompts, **options):
    return model.decode(embedding, prompts, **{'mask_prompt': None, 'candidates': ALL_MASKS, **options})


def decode_plainly(model, *args, **options):
    """By the plain modules, which is what gradients take."""
    with torch.enable_grad():
        return tuple(
            x.detach()
            for x in model.decode(*args, **{'mask_prompt': None, 'candidates': ALL_MASKS, **options})
        )


def assert_close(ours, plain) -> None:
    for a, b in zip(ours, plain, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=2e-5 * float(b.abs().max()))


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many instances each folded pass decoded."""
    passes: list[int] = []
    original = UltraSam._decode_folded

    def noting(self, embedding, images, *args):
        passes.append(len(images))
        return original(self, embedding, images, *args)

    monkeypatch.setattr(UltraSam, '_decode_folded', noting)
    return passes


@pytest.mark.parametrize('with_mask', [False, True])
@pytest.mark.parametrize('candidates', [SINGLE_MASK, MULTI_MASK, ALL_MASKS])
def test_equal_to_the_plain_modules(model, candidates, with_mask, folded) -> None:
    prompts = PromptBatch.from_prompts([random_prompts(7, 0), [], random_prompts(4, 1)])
    options = dict(mask_prompt=masks_of(11) if with_mask else None, candidates=candidates)
    embedding = embedding_of(3)
    plain = decode_plainly(model, embedding, prompts, **options)
    assert not folded
    assert_close(decode(model, embedding, prompts, **options), plain)
    assert sum(folded) == 11
    assert max(folded) <= 4


@pytest.mark.parametrize('candidates', [MULTI_MASK, ALL_MASKS])
def test_the_best_alone_is_that_of_all(model, candidates, folded) -> None:
    prompts, embedding = (
        PromptBatch.from_prompts([random_prompts(7, 0), random_prompts(4, 1)]),
        embedding_of(2),
    )
    for way in (decode, decode_plainly):
        logits, iou = way(model, embedding, prompts, candidates=candidates)
        best = iou.argmax(1)
        assert bool(best.any()) or candidates != MULTI_MASK
        alone = way(model, embedding, prompts, candidates=candidates, best_only=True)
        every = torch.arange(len(best))
        assert_close(alone, (logits[every, best][:, None], iou[every, best][:, None]))
    assert folded


def test_without_onednn_too(model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products_module, '_multiplies_views', lambda: False)
    prompts = PromptBatch.from_prompts([random_prompts(5, 3)])
    embedding, masks = embedding_of(1), masks_of(5)
    assert_close(
        decode(model, embedding, prompts, mask_prompt=masks),
        decode_plainly(model, embedding, prompts, mask_prompt=masks),
    )


def test_many_tokens_take_the_plain_way(model, folded) -> None:
    rng = np.random.default_rng(0)
    many = Prompt(points=rng.uniform(2, 100, (12, 2)), point_labels=rng.integers(0, 2, 12))
    prompts = PromptBatch.from_prompts([[many]])
    embedding = embedding_of(1)
    assert_close(decode(model, embedding, prompts), decode_plainly(model, embedding, prompts))
    assert not folded


def test_a_model_without_mask_prompts(folded) -> None:
    model = tiny_model(refine=False)
    prompts = PromptBatch.from_prompts([random_prompts(3, 3)])
    embedding = embedding_of(1)
    assert_close(decode(model, embedding, prompts), decode_plainly(model, embedding, prompts))
    assert folded


def test_what_is_kept_of_an_image_changes_no_bit() -> None:
    model = tiny_model()
    prompts, embedding = PromptBatch.from_prompts([random_prompts(6, 2)]), embedding_of(1)
    first = decode(model, embedding, prompts)
    kept = model.image_memory._terms[0]
    second = decode(model, embedding, prompts)
    assert model.image_memory._terms[0] is kept
    model.image_memory.forget()
    for answer in (second, decode(model, embedding.clone(), prompts)):
        assert all(map(torch.equal, first, answer))


@pytest.mark.parametrize(
    'change',
    ['another image', 'image in place', 'weight', 'weight data', 'positions', 'first bias', 'upscaling data'],
)
@torch.no_grad()
def test_changes_are_noticed(change: str) -> None:
    model = tiny_model()
    prompts, embedding = PromptBatch.from_prompts([random_prompts(4, 2)]), embedding_of(1)
    before, _ = decode(model, embedding, prompts)
    layer = model.decoder.layers[0]
    if change == 'another image':
        embedding = embedding_of(1, seed=1)
    elif change == 'image in place':
        embedding.mul_(1.5)
    elif change == 'weight':
        layer.cross_attn_token_to_image.attn.v_proj_weight.mul_(1.5)
    elif change == 'weight data':
        layer.cross_attn_image_to_token.attn.q_proj_weight.data.mul_(1.5)
    elif change == 'positions':
        model.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(1.5)
    elif change == 'upscaling data':
        model.bbox_head.output_upscaling[3].weight.data.mul_(1.5)
    else:
        layer.cross_attn_token_to_image.attn.in_proj_bias.add_(0.3)
    after, _ = decode(model, embedding, prompts)
    assert not torch.equal(before, after)
    assert torch.equal(after, decode(copy.deepcopy(model), embedding, prompts)[0])


def test_images_of_a_batch_are_kept_apart() -> None:
    model = tiny_model()
    embedding = embedding_of(10)
    prompts = PromptBatch.from_prompts([random_prompts(1, i) for i in range(10)])
    together, _ = decode(model, embedding, prompts)
    again, _ = decode(model, embedding, prompts)
    assert torch.equal(together, again)
    assert len(model.image_memory._terms) <= 8
    for i in range(10):
        alone, _ = decode(model, embedding[i : i + 1], PromptBatch.from_prompts([random_prompts(1, i)]))
        assert torch.allclose(alone, together[i : i + 1], atol=1e-4)


def test_inference_mode_keeps_nothing() -> None:
    model = tiny_model()
    prompts = PromptBatch.from_prompts([random_prompts(3, 2)])
    wanted = decode(model, embedding_of(1), prompts)
    model.image_memory.forget()
    with torch.inference_mode():
        embedding = embedding_of(1)
        answer = model.decode(embedding, prompts, mask_prompt=None, candidates=ALL_MASKS)
        embedding.mul_(2)
        other = model.decode(embedding, prompts, mask_prompt=None, candidates=ALL_MASKS)
    assert all(map(torch.equal, wanted, answer))
    assert not torch.equal(answer[0], other[0])


def test_copies_and_training_hold_no_image() -> None:
    model = tiny_model()
    decode(model, embedding_of(1), PromptBatch.from_prompts([random_prompts(3, 2)]))
    assert model.image_memory._terms
    for twin in (copy.deepcopy(model.image_memory), pickle.loads(pickle.dumps(model.image_memory))):
        assert not twin._terms
        assert twin._embedding is None
    model.train()
    assert not model.image_memory._terms
    assert model.image_memory._embedding is None


@pytest.mark.parametrize('inner', [40, 1])
@pytest.mark.parametrize('is_left_transposed', [False, True])
def test_products_of_views(is_left_transposed: bool, inner: int) -> None:
    generator = torch.Generator().manual_seed(0)
    left, right, add = (
        torch.randn(shape, generator=generator) for shape in ((7, inner), (inner, 30), (7, 30))
    )
    if is_left_transposed:
        left = left.t().contiguous().t()
    wanted = left @ right
    for options, more in (({}, 0.0), (dict(add=add), add), (dict(bias=add[0]), add[0])):
        found = products_module.product(left, right.t(), **options)
        assert torch.allclose(found, wanted + more, atol=1e-5)


def test_no_plain_inference_where_gradients_or_other_types_are_wanted() -> None:
    x = torch.zeros(2)
    assert not products_module.is_plain_inference(x)
    with torch.no_grad():
        assert products_module.is_plain_inference(x)
        assert not products_module.is_plain_inference(x.double())
        assert not products_module.is_plain_inference(x.bfloat16())
        with torch.autocast('cpu', torch.bfloat16):
            assert not products_module.is_plain_inference(x)
