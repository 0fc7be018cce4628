"""Tables of names: one engine, both directions, every tensor once."""

from __future__ import annotations

import pytest
import torch

from tests.checkpoints.foreign import segment_anything_model, transformers_model, vit_sam_encoder
from tests.golden import needs_golden, read_json
from ultrasam.checkpoints.folding import fold_doubled_skip, unfold_doubled_skip
from ultrasam.checkpoints.model_card import NOTE_KEY, read_card
from ultrasam.checkpoints.sources import KINDS, SOURCES, from_source, kind_of, table_of, to_source
from ultrasam.checkpoints.sources.names import template_pattern
from ultrasam.errors import CheckpointError

LIBRARIES = {
    'segment-anything': ('segment_anything', segment_anything_model),
    'transformers': ('transformers', transformers_model),
    'vit-sam': ('mmpretrain', vit_sam_encoder),
}


@pytest.fixture(scope='module', params=LIBRARIES)
def foreign(request) -> tuple[str, dict[str, torch.Tensor]]:
    """The name of a source, and a state dict by the library itself."""
    library, build = LIBRARIES[request.param]
    pytest.importorskip(library)
    return request.param, dict(build().state_dict())


def test_every_source_is_tested():
    assert set(LIBRARIES) == set(SOURCES)


def test_there_and_back_is_bit_equal(foreign):
    name, weights = foreign
    back = to_source(from_source(weights, name), name)
    assert set(back) == set(weights)
    for key, tensor in weights.items():
        assert torch.equal(back[key], tensor), key
        assert back[key].dtype == tensor.dtype


def test_every_tensor_is_accounted_for(foreign):
    name, weights = foreign
    ours, account = table_of(name).to_ours(weights, 'file')
    assert set(account.landed) == set(weights)
    assert {target for targets in account.landed.values() for target in targets} == set(ours)
    assert account.read == (len(weights), sum(tensor.numel() for tensor in weights.values()))
    assert account.written[0] == len(ours)


def test_every_rule_of_a_table_is_used(foreign):
    name, weights = foreign
    for rule in table_of(name).rules:
        for template in rule.their_templates:
            assert any(template_pattern(template).fullmatch(key) for key in weights), template


def test_no_name_fits_two_rules(foreign):
    name, weights = foreign
    ours = from_source(weights, name)
    table = table_of(name)
    for names, templates in (
        (weights, [t for rule in table.rules for t in rule.their_templates]),
        (ours, [rule.ours for rule in table.rules]),
    ):
        for key in names:
            assert sum(bool(template_pattern(t).fullmatch(key)) for t in templates) == 1, key


def test_the_kind_is_told_from_names(foreign):
    name, weights = foreign
    assert kind_of(weights).name == name


def test_an_unknown_name_is_refused(foreign):
    name, weights = foreign
    with pytest.raises(CheckpointError, match=r'1 unknown names \(surprise'):
        from_source({**weights, 'surprise.weight': torch.zeros(1)}, name)


def test_nothing_of_the_sources_names_is_left_over_in_ours(foreign):
    name, weights = foreign
    with pytest.raises(CheckpointError, match='1 unknown names'):
        to_source({**from_source(weights, name), 'head.fc.weight': torch.zeros(1)}, name)


@pytest.mark.parametrize(
    'lost', ['mask_decoder.iou_token.weight', 'mask_decoder.transformer.layers.1.self_attn.k_proj.bias']
)
@pytest.mark.parametrize('name', ['segment-anything', 'transformers'])
def test_a_missing_part_of_a_packed_tensor_is_named(name, lost):
    library, build = LIBRARIES[name]
    pytest.importorskip(library)
    weights = dict(build().state_dict())
    del weights[lost]
    with pytest.raises(CheckpointError, match=lost.split('.')[-2]):
        from_source(weights, name)


def test_misshapen_parts_of_a_packed_tensor_are_refused():
    pytest.importorskip('segment_anything')
    weights = dict(segment_anything_model().state_dict())
    weights['prompt_encoder.point_embeddings.1.weight'] = torch.zeros(2, 256)
    with pytest.raises(CheckpointError, match='do not fit each other'):
        from_source(weights, 'segment-anything')


def test_one_of_two_tied_names_is_enough_and_both_must_agree():
    pytest.importorskip('transformers')
    weights = dict(transformers_model().state_dict())
    copy = 'shared_image_embedding.positional_embedding'
    alone = {name: tensor for name, tensor in weights.items() if name != copy}
    back = to_source(from_source(alone, 'transformers'), 'transformers')
    assert torch.equal(back[copy], weights[copy])
    with pytest.raises(CheckpointError, match='copies of one tensor'):
        from_source({**weights, copy: weights[copy] + 1}, 'transformers')


def test_an_unknown_source_is_refused():
    with pytest.raises(CheckpointError, match='segment-anything'):
        from_source({}, 'sam3')


@needs_golden
def test_every_tensor_lands_where_the_published_conversion_puts_it():
    table = table_of('segment-anything')
    landings = read_json('sam_to_ultrasam.json')
    contract = read_json('contract.json')['vit_b_refine']
    reached = {name: [] for name in contract}
    for theirs, landing in landings.items():
        assert theirs in table.their_names(landing['to']), theirs
        reached[landing['to']].append(theirs)
    for ours, theirs in reached.items():
        assert set(theirs) == set(table.their_names(ours)), ours


@needs_golden
@pytest.mark.parametrize(
    'variant, kind',
    [
        ('box_refine', 'ultrasam'),
        ('point_no_refine(sam.py base)', 'ultrasam'),
        ('box_refine_lora', 'lora'),
        ('cls_BUSBRA_lora', 'lora'),
        ('box_refine_med_sa', 'med-sa'),
        ('cls_BUSBRA_UltraSam', 'classifier'),
        ('cls_BUSBRA_resnet50', 'classifier'),
        ('cls_BUSBRA_ViT', 'classifier'),
        ('seg_BUSBRA_UltraSam(Mask2Former+ViTSAM)', 'mask2former'),
        ('seg_BUSBRA_resnet(Mask2Former+R50)', 'mask2former'),
        ('MANUAL_prompted_cls(SamClassificationHead num_classes=2 + ViTSAMcls)', 'prompted-classifier'),
    ],
)
def test_kinds_of_published_files(variant, kind):
    assert kind_of(read_json('checkpoint_names.json')[variant]).name == kind


@pytest.mark.parametrize(
    'names, kind',
    [
        (
            ['image_encoder.blocks.0.Adapter.channel.0.weight', 'image_encoder.blocks.0.norm1.weight'],
            'sam-med2d',
        ),
        (['image_encoder.trunk.blocks.0.norm1.weight'], 'sam-2'),
        (
            ['image_encoder.blocks.0.norm1.weight', 'mask_decoder.hf_token.weight', 'prompt_encoder.x.y'],
            'sam-hq',
        ),
        (['image_encoder.layers.0.blocks.0.conv1.c.weight', 'mask_decoder.iou_token.weight'], 'mobile-sam'),
        (['conv1.weight'], None),
    ],
)
def test_kinds_of_others(names, kind):
    found = kind_of(names)
    assert (found and found.name) == kind


def test_names_of_kinds_are_unique():
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_folding_halves_two_linear_layers_and_unfolding_undoes_it():
    pytest.importorskip('segment_anything')
    weights = from_source(segment_anything_model().state_dict(), 'segment-anything')
    folded = fold_doubled_skip(weights)
    changed = [name for name in weights if not torch.equal(weights[name], folded[name])]
    assert changed == [f'decoder.layers.{i}.mlp.layers.1.{p}' for i in (0, 1) for p in ('weight', 'bias')]
    assert all(torch.equal(folded[name] * 2, weights[name]) for name in changed)
    restored = unfold_doubled_skip(folded)
    assert all(torch.equal(restored[name], weights[name]) for name in weights)
    with pytest.raises(CheckpointError, match='no decoder'):
        fold_doubled_skip({'conv1.weight': torch.zeros(1)})


def test_a_layer_number_beyond_reason_is_refused():
    pytest.importorskip('segment_anything')
    weights = from_source(segment_anything_model().state_dict(), 'segment-anything')
    weights['backbone.layers.99999999.attn.rel_pos_h'] = torch.zeros(27, 16)
    with pytest.raises(CheckpointError, match='layer 99999999'):
        read_card(weights, {}, 'file')


@pytest.mark.parametrize(
    'note, message',
    [
        (3, 'not a mapping'),
        ('{', 'no JSON'),
        ({'preprocessing': 'log'}, "preprocessing 'log'"),
        ({'pixel_mean': 3}, 'not three numbers'),
        ({'pixel_std': [1, 2, 'x']}, 'not three numbers'),
    ],
)
def test_a_note_that_means_nothing_is_refused(note, message):
    pytest.importorskip('segment_anything')
    weights = from_source(segment_anything_model().state_dict(), 'segment-anything')
    with pytest.raises(CheckpointError, match=message):
        read_card(weights, {NOTE_KEY: note}, 'file')
