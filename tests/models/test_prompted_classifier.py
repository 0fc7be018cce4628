"""Masks and classes of prompted objects: what reaches what, what is kept, what is learnt."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

import ultrasam.openmmlab.metrics.object_labels  # noqa: F401
from tests.golden import ROOT, trained
from tests.models.test_properties import TINY, batch_of, gradients, item, random_prompts, tiny_model
from ultrasam.checkpoints import load_strict
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.models.mask_decoder import Decoded
from ultrasam.openmmlab.models import PromptedClassifierDetector as PromptedClassifier
from ultrasam.structures import Prompt

FOCAL = dict(type='FocalLoss', loss_weight=1.0, use_sigmoid=True, gamma=2.0, alpha=0.25)
SOFTMAX = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
BENCHMARK = ROOT / 'benchmarks/prompted_classification.py'
HEAD = 'bbox_head.cls_prediction_head.'


def classifier(classes: int = 3, **overrides) -> PromptedClassifier:
    options = {
        'type': 'PromptedClassifier',
        'bbox_head.type': 'SamClassificationHead',
        'bbox_head.num_classes': classes,
        'bbox_head.image_dims': TINY['embed_dims'],
        'bbox_head.loss_cls': FOCAL,
    }
    return tiny_model(**{**options, **overrides})


def labelled(prompts: list[Prompt], seed: int, size_hw=(100, 128), classes: int = 3) -> dict:
    data = item(prompts, seed, size_hw)
    labels = np.random.default_rng(seed).integers(0, classes, len(prompts))
    data['data_samples'].gt_instances.labels = torch.from_numpy(labels)
    return data


@torch.no_grad()
def scores_of(model, *items: dict) -> list[torch.Tensor]:
    return [sample.pred_instances.cls_scores for sample in model.test_step(batch_of(*items))]


@pytest.mark.parametrize('refinements', [0, 1])
def test_gradients_reach_every_part(refinements: int):
    model = classifier(num_refinements=refinements)
    data = batch_of(labelled(random_prompts(3, 0), 0), labelled(random_prompts(2, 1), 1))
    found = gradients(model, data)
    assert all(gradient is not None for gradient in found.values())
    # of the masks, a pass trains the candidate that overlaps best
    still = {name for name, gradient in found.items() if not gradient.any()}
    assert all(name.startswith('bbox_head.output_hypernetworks_mlps.') for name in still), still


@pytest.mark.parametrize('loss', [FOCAL, SOFTMAX])
def test_batch_without_any_object_trains(loss: dict):
    activation = 'sigmoid' if loss['use_sigmoid'] else 'softmax'
    model = classifier(**{'bbox_head.loss_cls': loss, 'bbox_head.activation': activation})
    for name, gradient in gradients(model, batch_of(labelled([], 0), labelled([], 1))).items():
        assert gradient is not None, name
        assert not gradient.any(), name


def test_the_class_alone_trains_encoder_prompts_and_decoder():
    model = classifier()
    data = model.data_preprocessor(batch_of(labelled(random_prompts(4, 0), 0)), False)
    losses = model(**data, mode='loss')
    assert set(losses) == {f'loss_{name}{i}' for name in ('dice', 'focal', 'iou', 'cls') for i in ('', '.0')}
    losses['loss_cls.0'].backward()
    reached = {name for name, p in trained(model).items() if p.grad is not None and p.grad.any()}
    parts = ('backbone.layers.0.', 'backbone.channel_reduction.', 'prompt_encoder.label_encoder.',
             'prompt_encoder.mask_downscaling.', 'decoder.layers.1.', 'bbox_head.output_upscaling.', HEAD)  # fmt: skip
    for part in parts:
        assert any(name.startswith(part) for name in reached), part
    # the class reads the decoded image and token, the mask of the first pass, and no predicted quality
    assert not any(name.startswith('bbox_head.iou_prediction_head') for name in reached)


def test_encoder_is_reached_past_its_neck():
    model = classifier()
    data = model.data_preprocessor(batch_of(labelled(random_prompts(2, 0), 0)), False)
    model.extract_feat(data['inputs']).token_mean.sum().backward()
    assert model.backbone.layers[0].ffn.layers[1].weight.grad.any()
    assert model.backbone.channel_reduction[0].weight.grad is None or not (
        model.backbone.channel_reduction[0].weight.grad.any()
    )


@pytest.mark.parametrize(('scale', 'name'), [(0.0, 'loss_cls'), (3.0, 'loss_cls.0')])
def test_weight_of_the_class_loss_is_that_of_the_config(scale: float, name: str):
    data = batch_of(labelled(random_prompts(4, 0), 0))
    values = []
    for weight in (1.0, scale):
        model = classifier(**{'bbox_head.loss_cls': dict(FOCAL, loss_weight=weight)})
        values.append(model(**model.data_preprocessor(data, False), mode='loss')[name].item())
    assert values[0] > 0
    assert values[1] == pytest.approx(scale * values[0], rel=1e-5)


def test_focal_loss_is_the_mean_over_objects_and_classes():
    head = classifier().bbox_head
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 2, 1, 1, 0])
    truth = torch.eye(3)[labels]
    p = logits.sigmoid()
    own = torch.where(truth > 0, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log()).mean()
    assert head.class_loss(logits, labels).item() == pytest.approx(own.item(), rel=1e-5)


def test_softmax_trains_with_cross_entropy():
    model = classifier(**{'bbox_head.loss_cls': SOFTMAX, 'bbox_head.activation': 'softmax'})
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert model.bbox_head.class_loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    (scores,) = scores_of(model, labelled(random_prompts(4, 0), 0))
    assert torch.allclose(scores.sum(1), torch.ones(4), atol=1e-5)


def test_interactive_training_learns_classes():
    model = classifier(training_procedure=dict(type='CorrectiveClicks', rounds=2)).train()
    losses = model(**model.data_preprocessor(batch_of(labelled(random_prompts(3, 0), 0)), False), mode='loss')
    assert {'loss_cls', 'loss_dice', 'embedding_spread'} <= set(losses)
    assert losses['loss_cls'].requires_grad


def test_class_of_an_object_does_not_depend_on_other_objects():
    model = classifier()
    prompts = random_prompts(30, 5)
    (together,) = scores_of(model, labelled(prompts, 1))
    assert (together.max(0).values - together.min(0).values).min() > 1e-3, 'the prompt has no effect'
    for i, prompt in enumerate(prompts):
        (alone,) = scores_of(model, item([prompt], 1))
        assert torch.allclose(together[i], alone[0], atol=1e-5), i


def test_batch_equals_singles_in_loss_and_class():
    model = classifier()
    counts, sizes = (3, 0, 7, 1), ((100, 128), (128, 64), (128, 128), (77, 128))
    items = [labelled(random_prompts(counts[i], i), i, sizes[i]) for i in range(4)]
    together = scores_of(model, *items)
    assert [tuple(scores.shape) for scores in together] == [(count, 3) for count in counts]
    for scores, one in zip(together, items, strict=True):
        assert torch.allclose(scores, scores_of(model, one)[0], atol=1e-5)

    def class_losses(*some: dict) -> np.ndarray:
        losses = model(**model.data_preprocessor(batch_of(*some), False), mode='loss')
        return np.array([losses['loss_cls'].item(), losses['loss_cls.0'].item()])

    singles = sum(count * class_losses(one) for count, one in zip(counts, items, strict=True)) / sum(counts)
    assert class_losses(*items) == pytest.approx(singles, rel=1e-4)


@torch.no_grad()
def test_answer_is_that_of_the_last_pass_and_masks_are_those_of_ultrasam():
    model, plain = classifier(), tiny_model()
    plain.load_state_dict(model.state_dict(), strict=False)
    data = batch_of(labelled(random_prompts(6, 2), 3))
    (sample,) = model.test_step(data)
    found = sample.pred_instances
    (other,) = plain.test_step(data)
    assert torch.equal(found.masks, other.pred_instances.masks)
    assert torch.equal(found.scores, other.pred_instances.scores)
    assert torch.equal(found.labels, found.cls_labels)
    assert torch.equal(found.cls_labels, found.cls_scores.argmax(1))
    processed = model.data_preprocessor(data, False)
    embedding = model.extract_feat(processed['inputs'])
    prompts = model._prompts(processed['data_samples'], torch.device('cpu'))
    first, last = (
        model.predict_logits(
            embedding, prompts, processed['data_samples'], refinements=i
        ).class_logits.sigmoid()
        for i in (0, 1)
    )
    assert torch.allclose(found.cls_scores, last, atol=1e-6)
    assert not torch.allclose(found.cls_scores, first, atol=1e-4)


def test_head_reads_first_mask_token_decoded_image_and_encoder_in_this_order():
    head = classifier().bbox_head
    tokens, image, mean = (
        torch.randn(2, 9, 256),
        torch.randn(2, 256, 8, 8),
        torch.randn(2, TINY['embed_dims']),
    )
    inputs = torch.cat([tokens[:, 4], image.mean((2, 3)), mean], 1)
    expected = head.cls_prediction_head(inputs)
    assert torch.equal(head.classify(Decoded(None, None, tokens, image), mean), expected)


def test_a_checkpoint_of_ultrasam_fits_and_its_lack_is_reported():
    model, source = classifier(), tiny_model().state_dict()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith(HEAD)}
    source = {name: tensor + 0.01 for name, tensor in source.items()}
    report = load_strict(model, source, source='UltraSam.pth')
    assert report.matched == len(source)
    assert set(report.tolerated_missing) == set(before)
    assert len(before) == 4
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in {**source, **before}.items())
    with pytest.raises(CheckpointError, match=r'no class head .* would be random'):
        scores_of(model, labelled(random_prompts(2, 0), 0))
    gradients(model, batch_of(labelled(random_prompts(2, 0), 0)))
    assert scores_of(model, labelled(random_prompts(2, 0), 0))[0].shape == (2, 3)
    load_strict(model, model.state_dict(), source='own.pth')
    assert scores_of(model, labelled(random_prompts(2, 0), 0))[0].shape == (2, 3)


def test_a_checkpoint_of_other_classes_or_lacking_more_is_refused():
    source = classifier(2).state_dict()
    with pytest.raises(CheckpointError, match='of another shape'):
        load_strict(classifier(3), source, source='two.pth')
    source = {name: t for name, t in classifier().state_dict().items() if 'iou_prediction_head' not in name}
    with pytest.raises(CheckpointError, match='missing'):
        load_strict(classifier(), source, source='half.pth')


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'bbox_head.image_dims': 768}, 'image_dims 768, but the tokens of the encoder have 32'),
        ({'bbox_head.num_classes': 0}, 'num_classes 0'),
        ({'bbox_head.activation': 'tanh'}, "'tanh'"),
        ({'bbox_head.activation': 'softmax'}, 'use_sigmoid=True'),
    ],
)
def test_options_that_cannot_work_are_named(overrides: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        classifier(**overrides)


def test_a_head_without_classes_and_data_without_labels_are_named():
    with pytest.raises(ConfigError, match='SamMaskHead gives no classes'):
        tiny_model(type='PromptedClassifier')
    model, data = classifier(), labelled(random_prompts(2, 0), 0)
    data['data_samples'].gt_instances.labels = torch.tensor([0, 3])
    with pytest.raises(ConfigError, match=r'labels from 0 to 3 with bbox_head.num_classes 3'):
        gradients(model, batch_of(data))
    del data['data_samples'].gt_instances.labels
    with pytest.raises(ConfigError, match='without labels'):
        gradients(model, batch_of(data))


@pytest.mark.slow
def test_the_prompt_tells_which_of_several_lesions_is_meant():
    spec = importlib.util.spec_from_file_location('prompted_classification', BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    # its data class looks itself up there
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    found = {}
    for name in ('prompted', 'unprompted'):
        side = benchmark.side_of(name, seed=0)
        benchmark.train(side, seed=0, steps=300 * benchmark.STEPS[name])
        found[name] = benchmark.evaluate(side, frames=60)
    assert found['prompted']['box'] > 0.9
    assert found['prompted']['box or click'] > 0.9
    # lesions of a frame are of different classes, and get one answer
    assert found['unprompted']['box'] < 0.5
