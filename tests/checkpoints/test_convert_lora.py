"""Adapters merged into the weights that they adapt, from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.checkpoints.foreign import SIZE, segment_anything_model
from tests.golden import needs_golden, read_json
from tests.models.test_properties import TINY, tiny_model
from ultrasam.checkpoints import load_checkpoint_file, state_dict_of
from ultrasam.checkpoints.lora import merge_lora
from ultrasam.checkpoints.model_card import note_of
from ultrasam.checkpoints.sources import from_source
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.export.convert import convert_file

RANK = 4


def adapters_of(base: dict[str, torch.Tensor], *, wrapped: bool = True) -> dict[str, torch.Tensor]:
    """Random adapters of every qkv layer, as published files name them."""
    generator = torch.Generator().manual_seed(3)
    prefix = 'backbone.module.' if wrapped else 'backbone.'
    adapters = {}
    for name, weight in base.items():
        if name.startswith('backbone.') and name.endswith('.attn.qkv.weight'):
            layer = prefix + name.removeprefix('backbone.').removesuffix('.weight')
            out, width = weight.shape
            adapters[f'{layer}.lora_down.weight'] = 0.1 * torch.randn(RANK, width, generator=generator)
            adapters[f'{layer}.lora_up.weight'] = 0.1 * torch.randn(out, RANK, generator=generator)
    return adapters


def others_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What is saved beside adapters: everything but the encoder."""
    return {name: t for name, t in model.state_dict().items() if not name.startswith('backbone.')}


@pytest.fixture(scope='module')
def base() -> dict[str, torch.Tensor]:
    return dict(tiny_model().state_dict())


def saved(path: Path, weights: dict, **note) -> Path:
    torch.save({'state_dict': weights, 'meta': {'ultrasam': note} if note else {}}, path)
    return path


def test_merging_adds_the_scaled_product(base):
    adapters = adapters_of(base)
    merge = merge_lora(base, adapters, alpha=8)
    name = 'backbone.layers.1.attn.qkv.weight'
    layer = 'backbone.module.layers.1.attn.qkv'
    product = adapters[f'{layer}.lora_up.weight'] @ adapters[f'{layer}.lora_down.weight']
    assert torch.allclose(merge.weights[name], base[name] + 2 * product, atol=1e-6)
    assert set(merge.weights) == set(base)
    unchanged = [key for key in base if torch.equal(base[key], merge.weights[key])]
    assert set(base) - set(unchanged) == set(merge.adapted)


def test_every_name_is_accounted_for(base):
    merge = merge_lora(base, {**adapters_of(base), **others_of(tiny_model())})
    assert sorted([*merge.adapted, *merge.replaced, *merge.kept]) == sorted(base)
    assert merge.left_out == ()
    assert merge.rank == RANK


@torch.no_grad()
def test_the_merged_encoder_computes_what_the_adapted_one_does(base):
    lora = pytest.importorskip('ultrasam.models.adapters.lora')
    from mmdet.registry import MODELS

    sizes = dict(arch=TINY, img_size=SIZE)
    encoder = {n.removeprefix('backbone.'): t for n, t in base.items() if n.startswith('backbone.')}
    adapters = adapters_of(base)
    adapted = lora.LoraImageEncoder(rank=RANK, alpha=12, **sizes)
    adapted.load_state_dict(
        {**encoder, **{n.removeprefix('backbone.'): t for n, t in adapters.items()}}, strict=True
    )
    adapted.eval()
    plain = MODELS.build(dict(type='SamImageEncoder', **sizes))
    merged = merge_lora(base, adapters, alpha=12).weights
    plain.load_state_dict({n.removeprefix('backbone.'): merged[n] for n in base if n.startswith('backbone.')})
    plain.eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    assert torch.allclose(plain(image)[0], adapted(image)[0], atol=1e-5)
    answer = plain(image)[0]
    plain.load_state_dict(encoder)
    assert not torch.allclose(plain(image)[0], answer, atol=1e-3)


def test_wrapped_layers_in_the_file_replace_those_of_the_base(base):
    name = 'backbone.layers.0.attn.qkv.weight'
    inner = 'backbone.module.layers.0.attn.qkv.original_layer.weight'
    merge = merge_lora(base, {**adapters_of(base), inner: base[name] + 1})
    plain = merge_lora(base, adapters_of(base))
    assert torch.allclose(merge.weights[name], plain.weights[name] + 1, atol=1e-5)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda a: {}, '0 adapters'),
        (lambda a: dict(list(a.items())[1:]), '1 of them half'),
        (lambda a: {n: t[:, :-1] if 'up' in n else t for n, t in a.items()}, 'do not fit each other'),
        (lambda a: {n: t[:-1] if 'up' in n else t for n, t in a.items()}, r'2 of another shape'),
        (lambda a: {n.replace('layers.1.', 'layers.7.'): t for n, t in a.items()}, '1 names that the base lacks'),
        (lambda a: {**a, 'decoder.extra.weight': torch.zeros(1)}, 'decoder.extra.weight'),
        (lambda a: {**a, 'decoder.post_norm.weight': torch.zeros(3)}, '1 of another shape'),
        (lambda a: {n: t[:2] if 'layers.0' in n and 'down' in n else t[:, :2] if 'layers.0' in n else t
                    for n, t in a.items()}, 'several ranks'),
    ],
)  # fmt: skip
def test_adapters_that_do_not_fit_are_refused(base, change, message):
    with pytest.raises(CheckpointError, match=message):
        merge_lora(base, change(adapters_of(base)))


@pytest.mark.parametrize('alpha', [0, -1, float('nan'), float('inf')])
def test_a_scale_that_means_nothing_is_refused(base, alpha):
    with pytest.raises(ConfigError, match='positive'):
        merge_lora(base, adapters_of(base), alpha=alpha)


def test_a_classifier_leaves_the_promptable_parts_out(base):
    head = {'head.fc.weight': torch.zeros(2, 32), 'head.fc.bias': torch.zeros(2)}
    merge = merge_lora(base, {**adapters_of(base), **head})
    assert {name.split('.')[0] for name in merge.weights} == {'backbone', 'head'}
    assert not any('channel_reduction' in name for name in merge.weights)
    assert set(merge.left_out) | set(merge.kept) | set(merge.adapted) == set(base)


def test_files_are_merged_and_the_default_scale_is_said_aloud(base, tmp_path):
    base_file = saved(tmp_path / 'base.pth', base, mlp_skip='doubled', licence='Apache-2.0')
    adapters = saved(tmp_path / 'lora.pth', adapters_of(base))
    done = convert_file(adapters, tmp_path / 'merged.pth', lora_base=base_file)
    content = load_checkpoint_file(tmp_path / 'merged.pth')
    expected = merge_lora(base, adapters_of(base), alpha=16).weights
    weights = state_dict_of(content, 'merged')
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert any('taken as 16' in remark for remark in done.remarks)
    note = note_of(content['meta'], 'merged')
    assert (note['merged_lora']['rank'], note['merged_lora']['alpha']) == (RANK, 16)
    assert note['licence'] == 'Apache-2.0'
    quiet = convert_file(adapters, tmp_path / 'b.pth', lora_base=base_file, lora_alpha=8)
    assert quiet.note['merged_lora']['alpha'] == 8
    assert not any('taken as' in remark for remark in quiet.remarks)


def test_the_skip_is_that_of_the_decoder_that_is_kept(base, tmp_path):
    pytest.importorskip('segment_anything')
    sam = segment_anything_model()
    torch.save(sam.state_dict(), tmp_path / 'sam.pth')
    ours = from_source(sam.state_dict(), 'segment-anything')
    alone = saved(tmp_path / 'alone.pth', adapters_of(ours))
    done = convert_file(alone, tmp_path / 'a.pth', lora_base=tmp_path / 'sam.pth', lora_alpha=16)
    assert done.note['mlp_skip'] == 'single'
    # published adapters of SAM come with a decoder that was trained with the doubled skip
    with_decoder = {n: t for n, t in ours.items() if not n.startswith('backbone.')}
    whole = saved(tmp_path / 'whole.pth', {**adapters_of(ours), **with_decoder})
    done = convert_file(whole, tmp_path / 'b.pth', lora_base=tmp_path / 'sam.pth', lora_alpha=16)
    assert done.note['mlp_skip'] == 'doubled'
    assert any('decoder is that of the adapters' in remark for remark in done.remarks)


def test_a_note_names_scale_and_base(base, tmp_path):
    from ultrasam.models.adapters.loading import base_fingerprint

    encoder = {n.removeprefix('backbone.'): t for n, t in base.items() if n.startswith('backbone.')}
    base_file = saved(tmp_path / 'base.pth', base, mlp_skip='doubled')
    lora = dict(rank=RANK, alpha=2, base=base_fingerprint(encoder))
    adapters = saved(tmp_path / 'lora.pth', adapters_of(base), lora=lora)
    done = convert_file(adapters, tmp_path / 'merged.pth', lora_base=base_file)
    assert done.note['merged_lora']['alpha'] == 2
    other = {**base, 'backbone.pos_embed': base['backbone.pos_embed'] + 1}
    with pytest.raises(CheckpointError, match='is not what'):
        convert_file(adapters, tmp_path / 'b.pth', lora_base=saved(tmp_path / 'other.pth', other))


def test_a_file_without_adapters_is_refused(base, tmp_path):
    base_file = saved(tmp_path / 'base.pth', base, mlp_skip='doubled')
    with pytest.raises(CheckpointError, match='no LoRA adapters: it is UltraSam'):
        convert_file(base_file, tmp_path / 'out.pth', lora_base=base_file)


@needs_golden
def test_published_names(tmp_path):
    shapes = read_json('contract.json')
    plain = {name: torch.zeros(shape) for name, shape in shapes['small_refine'].items()}
    published = {name: torch.ones(shape) for name, shape in shapes['small_lora_saved'].items()}
    merge = merge_lora(plain, published)
    assert set(merge.weights) == set(plain)
    assert len(merge.adapted) == 4
    # rank 16, all ones: each entry of the product is 16
    assert (merge.weights['backbone.layers.2.attn.qkv.weight'] == 16).all()
