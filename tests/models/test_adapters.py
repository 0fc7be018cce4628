"""Encoders with adapters: the published functions and names, what is trained, and what checkpoints are accepted."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import distributed

import tests.golden as golden
import ultrasam.openmmlab.models  # noqa: F401
from tests.golden import (
    ROOT,
    SHARED,
    SMALL_ARCH,
    collate,
    frame,
    needs_frames,
    needs_golden,
    read_json,
    seeded_state_dict,
)
from tests.models.test_golden import assert_same_prediction, relative_error
from tests.models.test_properties import SIZE, TINY, batch_of, item, random_prompts, tiny_model
from ultrasam.checkpoints import load_strict
from ultrasam.checkpoints.lora import merge_lora
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.models.adapters import base_fingerprint

KINDS = ('lora', 'med_sa')


def adapted_config(kind: str, arch: dict | None = None, size: int = 1024, **backbone) -> dict:
    """Config of the model of a new leaf, at any size."""
    init_default_scope('mmdet')
    config = Config.fromfile(ROOT / f'configs/_base_/models/ultrasam_{kind}.py').model
    config.data_preprocessor.pad_size_divisor = config.prompt_encoder.img_size = size
    config.backbone.update(img_size=size, arch=arch or 'base')
    config.backbone.update(dict(base_checkpoint=None) if kind == 'lora' else {}, **backbone)
    return config


def tiny_adapted(kind: str, **backbone) -> torch.nn.Module:
    """A detector with adapters, at the size of :func:`tiny_model`, as it is built."""
    torch.manual_seed(1)
    stages = dict(frozen_stages=1) if kind == 'med_sa' else {}
    return MODELS.build(adapted_config(kind, TINY, SIZE, **{**stages, **backbone}))


def trained(kind: str, base: dict[str, torch.Tensor]) -> torch.nn.Module:
    """The same on a base, with adapters that have moved, in evaluation mode."""
    model = tiny_adapted(kind)
    model.load_state_dict(base)
    move_adapters(model)
    return model.eval()


def move_adapters(model: torch.nn.Module) -> None:
    """Stands in for training."""
    model.backbone.awaits_adapters = False
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            parameter.data.add_(0.05 * torch.randn_like(parameter))


def as_saved(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What is published of a model with LoRA: of the encoder, the adapters alone."""
    return {k: v for k, v in model.state_dict().items() if not k.startswith('backbone.') or is_adapter(k)}


def is_adapter(name: str) -> bool:
    return '.lora_' in name or '_adapter.' in name


@pytest.fixture(scope='module')
def base() -> dict[str, torch.Tensor]:
    """Weights of a plain model."""
    return tiny_model().state_dict()


@pytest.fixture(scope='module')
def batch() -> dict:
    return batch_of(*(item(random_prompts(2, seed), seed) for seed in (3, 4)))


def step(model: torch.nn.Module, batch: dict) -> None:
    bare = getattr(model, 'module', model)
    losses = model(**bare.data_preprocessor(copy.deepcopy(batch), True), mode='loss')
    bare.parse_losses(losses)[0].backward()


@torch.no_grad()
def logits(model: torch.nn.Module, batch: dict) -> torch.Tensor:
    return model(**model.data_preprocessor(copy.deepcopy(batch), False), mode='tensor')[0]


@needs_golden
@needs_frames
@torch.no_grad()
@pytest.mark.parametrize('prompt', ['point', 'box'])
@pytest.mark.parametrize('kind', KINDS)
def test_published_function(kind, prompt):
    stages = dict(frozen_stages=3) if kind == 'med_sa' else {}
    model = MODELS.build(adapted_config(kind, SMALL_ARCH, 256, **stages)).eval()
    contract = dict(lora='small_lora_all_parameters', med_sa='small_med_sa')[kind]
    weights = seeded_state_dict(contract)
    if kind == 'lora':
        # the record was made with seeded values in every buffer, those that no checkpoint holds included
        for name in ('mean', 'std'):
            getattr(model.data_preprocessor, name).copy_(weights.pop(f'data_preprocessor.{name}'))
    model.load_state_dict(weights, strict=True)
    recorded = read_json('small_variant_predictions.json')[f'small_{kind}_{prompt}']
    assert len(recorded) == 2
    with np.load(SHARED / 'golden' / 'small_variant_logits.npz') as expected:
        for i, record in enumerate(recorded):
            batch = collate([frame(record['file_name'], 256, record['prompts'])])
            assert relative_error(logits(model, batch), expected[f'small_{kind}_{prompt}_{i}']) < 2e-4
            (sample,) = model.test_step(batch)
            assert_same_prediction(sample.pred_instances, record)


@needs_golden
@pytest.mark.parametrize(
    ('kind', 'variant', 'parameters', 'of_encoder', 'of_detector'),
    [
        ('lora', 'box_refine_lora', 94_325_296, 589_824, 589_824),
        ('med_sa', 'box_refine_med_sa', 100_836_400, 19_057_072 - 4_064_560, 7_100_928),
    ],
)
def test_published_names_and_counts_at_full_size(kind, variant, parameters, of_encoder, of_detector):
    """4,064,560 parameters are not the encoder's: those of decoder, head and prompt encoder."""
    names = read_json('checkpoint_names.json')
    with torch.device('meta'):
        model = MODELS.build(adapted_config(kind))
        encoder = MODELS.build(adapted_config(kind).backbone)
    ours = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    published = {name: list(entry['shape']) for name, entry in names[variant].items()}
    plain = {name: list(entry['shape']) for name, entry in names['box_refine'].items()}
    assert ours == published | plain
    assert sum(p.numel() for p in model.parameters()) == parameters
    trainable = {name: p for name, p in golden.trained(model).items() if p.requires_grad}
    assert set(trainable) == {name for name in published if is_adapter(name)}
    assert sum(p.numel() for p in trainable.values()) == of_detector
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == of_encoder


@pytest.mark.parametrize('kind', KINDS)
class TestTraining:
    def test_only_adapters_get_a_gradient_and_are_updated(self, kind, base, batch):
        model = trained(kind, base).train()
        wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.1)))
        adapters = {name: p for name, p in model.named_parameters() if is_adapter(name)}
        assert len(adapters) == dict(lora=2 * 2, med_sa=2 * 8)[kind]
        before = copy.deepcopy(dict(model.named_parameters()))
        step(model, batch)
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None and parameter.grad.abs().max() > 0) == (name in adapters), name
        wrapper.step()
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, before[name]) == (name not in adapters), name

    def test_distributed_steps_find_every_trained_parameter(self, kind, base, batch, tmp_path):
        """A wrapper that waits for a gradient of a frozen parameter would raise in the second step."""
        distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
        try:
            model = MMDistributedDataParallel(trained(kind, base).train(), device_ids=None)
            step(model, batch)
            step(model, batch)
        finally:
            distributed.destroy_process_group()

    def test_frozen_encoder_is_the_same_in_training_and_evaluation(self, kind, base):
        """It has neither dropout nor running statistics, so that its mode does not matter."""
        encoder = trained(kind, base).backbone
        if kind == 'lora':
            for module in encoder.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        image = torch.randn(1, 3, SIZE, SIZE)
        # attention sums in another order in training
        assert torch.allclose(encoder.train()(image)[0], encoder.eval()(image)[0], atol=1e-5)


def test_every_frozen_stage_of_med_sa():
    for stages, expected in (
        (0, {'embedding', 'layer 0', 'layer 1', 'neck'}),
        (1, {'layer 1', 'neck'}),
        (2, set()),
    ):
        encoder = MODELS.build(tiny_config('med_sa', frozen_stages=stages))
        parts = {
            'embedding': [encoder.pos_embed, *encoder.patch_embed.parameters()],
            'layer 0': plain_parameters(encoder.layers[0]),
            'layer 1': plain_parameters(encoder.layers[1]),
            'neck': list(encoder.channel_reduction.parameters()),
        }
        for part, parameters in parts.items():
            assert {p.requires_grad for p in parameters} == {part in expected}, (stages, part)
        assert all(p.requires_grad for name, p in encoder.named_parameters() if is_adapter(name))


def plain_parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [p for name, p in module.named_parameters() if not is_adapter(name)]


def tiny_config(kind: str, **backbone) -> dict:
    stages = dict(frozen_stages=1) if kind == 'med_sa' else {}
    return adapted_config(kind, TINY, SIZE, **{**stages, **backbone}).backbone


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        ('lora', dict(rank=0), 'positive'),
        ('lora', dict(alpha=0), 'positive'),
        ('lora', dict(targets=['kv']), "'kv'"),
        ('med_sa', dict(frozen_stages=3), '2 layers'),
        ('med_sa', dict(adapter_ratio=0.01), 'hidden'),
    ],
)
def test_options_that_cannot_work(kind, options, message):
    with pytest.raises(ConfigError, match=message):
        MODELS.build(tiny_config(kind, **options))


def test_detector_without_adapters_is_refused():
    config = adapted_config('lora', TINY, SIZE)
    config.backbone = dict(type='SamImageEncoder', arch=TINY, img_size=SIZE)
    with pytest.raises(ConfigError, match='SamImageEncoder has no adapters'):
        MODELS.build(config)


class TestLora:
    @pytest.mark.parametrize('targets', [['qkv'], ['qkv', 'proj', 'ffn.layers.0.0', 'ffn.layers.1']])
    def test_files_merge_to_the_same_function(self, base, batch, targets):
        source = tiny_adapted('lora', targets=targets)
        source.load_state_dict(base)
        move_adapters(source.eval())
        saved = as_saved(source)
        plain = tiny_model()
        load_strict(plain, merge_lora(base, saved).weights, source='merged')
        assert relative_error(logits(plain, batch), logits(source, batch)) < 1e-5

    def test_fresh_updates_change_nothing(self, base, batch):
        model, plain = tiny_adapted('lora', dropout=0.0), tiny_model()
        model.load_state_dict(base)
        data = batch['inputs'][0].float()[None] / 99
        image = torch.nn.functional.pad(data, (0, 0, 0, SIZE - data.shape[-2]))
        with torch.no_grad():
            assert torch.allclose(model.backbone.train()(image)[0], plain.backbone(image)[0], atol=1e-5)

    def test_adapters_load_into_a_model_that_has_its_base(self, base, batch, tmp_path):
        source = trained('lora', base)
        saved = as_saved(source)
        torch.save(dict(state_dict=base), tmp_path / 'base.pth')
        model = tiny_adapted('lora', base_checkpoint=str(tmp_path / 'base.pth')).eval()
        load_strict(model, saved, source='adapters')
        assert torch.equal(logits(model, batch), logits(source, batch))
        model.load_state_dict(saved, strict=True)

    def test_base_of_an_encoder_alone(self, base, tmp_path):
        alone = {k.removeprefix('backbone.'): v for k, v in base.items() if k.startswith('backbone.')}
        torch.save(alone, tmp_path / 'encoder.pth')
        encoder = MODELS.build(tiny_config('lora', base_checkpoint=tmp_path / 'encoder.pth'))
        assert encoder.fingerprint() == base_fingerprint(alone)
        assert encoder.fingerprint() != base_fingerprint({**alone, 'pos_embed': alone['pos_embed'] + 1e-6})

    @pytest.mark.parametrize('load', [load_strict, None])
    def test_adapters_without_a_base_are_refused(self, base, load):
        saved = as_saved(trained('lora', base))
        model = tiny_adapted('lora')
        with pytest.raises(CheckpointError, match=r'missing|no base weights'):
            load_strict(model, saved, source='f') if load else model.load_state_dict(saved, strict=False)
        with pytest.raises(CheckpointError, match='no base weights'):
            model.backbone(torch.zeros(1, 3, SIZE, SIZE))

    @pytest.mark.parametrize(
        'drop', ['backbone.layers.0.ln1.bias', 'backbone.module.layers.0.attn.qkv.lora_up.weight']
    )
    def test_half_a_base_or_half_the_adapters_are_refused(self, base, drop):
        saved = trained('lora', base).state_dict()
        del saved[drop]
        model = tiny_adapted('lora')
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(CheckpointError, match=r'it lacks|missing'):
            load_strict(model, saved, source='file')
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

    @pytest.mark.parametrize('change', ['no_encoder', 'other_width', 'absent'])
    def test_files_that_are_no_base(self, base, tmp_path, change):
        weights = dict(base)
        if change == 'no_encoder':
            weights = {k: v for k, v in base.items() if not k.startswith('backbone.')}
        elif change == 'other_width':
            weights['backbone.pos_embed'] = torch.zeros(1, 4, 4, 32)
        if change != 'absent':
            torch.save(weights, tmp_path / 'base.pth')
        with pytest.raises(CheckpointError, match=r'base\.pth'):
            tiny_adapted('lora', base_checkpoint=tmp_path / 'base.pth')


class TestMedSa:
    @torch.no_grad()
    def test_zero_initialised_adapters_change_nothing(self, base):
        image = torch.randn(1, 3, SIZE, SIZE)
        expected = tiny_model().backbone(image)[0]
        for zero_init in (True, False):
            model = tiny_adapted('med_sa', zero_init=zero_init)
            load_strict(model, base, source='base')
            same = torch.allclose(model.backbone.train()(image)[0], expected, atol=1e-5)
            assert same == zero_init

    def test_half_the_adapters_are_refused(self, base):
        saved = trained('med_sa', base).state_dict()
        del saved['backbone.layers.1.mlp_adapter.layers.1.bias']
        with pytest.raises(CheckpointError, match='15 of 16 tensors of the Medical SAM adapters'):
            load_strict(tiny_adapted('med_sa'), saved, source='file')


@pytest.mark.parametrize('kind', KINDS)
def test_base_alone_is_not_evaluated_as_if_it_had_adapters(kind, base, batch):
    model = tiny_adapted(kind).eval()
    load_strict(model, base, source='base')
    with pytest.raises(CheckpointError, match='adapters'):
        logits(model, batch)
    step(model.train(), batch)
    assert logits(model.eval(), batch).isfinite().all()
