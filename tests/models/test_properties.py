"""What must hold whatever the weights: instances do not see each other, nor do images of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from tests.golden import model_config, trained
from ultrasam.errors import ConfigError, PromptError
from ultrasam.structures import Prompt, PromptBatch

TINY = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64, global_attn_indexes=[1])
SIZE = 128


def tiny_model(refine: bool = True, **overrides) -> torch.nn.Module:
    """A detector small enough for many passes, with weights that are not at their start."""
    torch.manual_seed(0)
    config = model_config(
        refine=refine,
        **{
            'backbone.arch': dict(TINY, _delete_=True),
            'backbone.img_size': SIZE,
            'prompt_encoder.img_size': SIZE,
            'data_preprocessor.pad_size_divisor': SIZE,
            'decoder.dropout': 0.0,
            **overrides,
        },
    )
    model = MODELS.build(config)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def random_prompts(count: int, seed: int, kinds=('point', 'box', 'points', 'both')) -> list[Prompt]:
    """Prompts of every kind, with 1 to 4 points."""
    rng = np.random.default_rng(seed)
    prompts = []
    for i in range(count):
        kind = kinds[i % len(kinds)]
        n = dict(point=1, box=0, points=2 + i % 3, both=1 + i % 3)[kind]
        corner = rng.uniform(2, 60, 2)
        box = np.concatenate([corner, corner + rng.uniform(8, 50, 2)]) if kind in ('box', 'both') else None
        labels = [1] if kind == 'point' else rng.integers(0, 2, n)
        prompts.append(Prompt(points=rng.uniform(2, 100, (n, 2)), point_labels=labels, box=box))
    return prompts


def item(prompts: list[Prompt], seed: int, size_hw=(100, 128)) -> dict:
    """An image with instances, as the pipeline packs it."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    image = rng.integers(0, 255, (3, height, width), np.uint8)
    sample = DetDataSample(
        metainfo=dict(
            ori_shape=(height * 2, width * 2), img_shape=(height, width), scale_factor=(0.5, 0.5), img_id=seed
        )
    )
    masks = np.zeros((len(prompts), height, width), np.uint8)
    for i in range(len(prompts)):
        top, left = rng.integers(5, 50, 2)
        masks[i, top : top + 30, left : left + 35] = 1
    sample.gt_instances = InstanceData(
        prompts=list(prompts),
        masks=BitmapMasks(masks, height, width),
        labels=torch.zeros(len(prompts), dtype=torch.long),
    )
    return dict(inputs=torch.from_numpy(image), data_samples=sample)


def batch_of(*items: dict) -> dict:
    return dict(inputs=[i['inputs'] for i in items], data_samples=[i['data_samples'] for i in items])


def assert_same(a: InstanceData, b: InstanceData) -> None:
    assert len(a.scores) == len(b.scores)
    assert torch.allclose(a.scores, b.scores, atol=1e-5)
    assert (a.masks ^ b.masks).float().mean() < 1e-4 if a.masks.numel() else a.masks.shape == b.masks.shape


@torch.no_grad()
@pytest.mark.parametrize('refine', [True, False])
def test_batch_of_four_equals_four_of_one(refine):
    model = tiny_model(refine)
    counts, sizes = (3, 0, 7, 1), ((100, 128), (128, 64), (128, 128), (77, 128))

    def build(i):
        return item(random_prompts(counts[i], i), i, sizes[i])

    together = model.test_step(batch_of(*(build(i) for i in range(4))))
    for i in range(4):
        (alone,) = model.test_step(batch_of(build(i)))
        assert_same(together[i].pred_instances, alone.pred_instances)


@torch.no_grad()
def test_thirty_instances_equal_thirty_calls():
    model = tiny_model()
    prompts = random_prompts(30, 5)
    (together,) = model.test_step(batch_of(item(prompts, 1)))
    for i, prompt in enumerate(prompts):
        (alone,) = model.test_step(batch_of(item([prompt], 1)))
        assert_same(together.pred_instances[i], alone.pred_instances)


@torch.no_grad()
def test_order_of_instances_does_not_matter():
    model = tiny_model()
    prompts = random_prompts(12, 3)
    order = np.random.default_rng(0).permutation(12)
    (straight,) = model.test_step(batch_of(item(prompts, 1)))
    (shuffled,) = model.test_step(batch_of(item([prompts[i] for i in order], 1)))
    assert_same(straight.pred_instances[torch.from_numpy(order)], shuffled.pred_instances)


@torch.no_grad()
def test_five_hundred_instances_in_one_image():
    model = tiny_model()
    prompts = random_prompts(500, 9)
    (sample,) = model.test_step(batch_of(item(prompts, 1)))
    assert sample.pred_instances.masks.shape == (500, 200, 256)
    (alone,) = model.test_step(batch_of(item([prompts[321]], 1)))
    assert_same(sample.pred_instances[321], alone.pred_instances[0])


def gradients(model, data) -> dict[str, torch.Tensor]:
    model.zero_grad()
    total, _ = model.parse_losses(model(**model.data_preprocessor(data, False), mode='loss'))
    total.backward()
    return {name: p.grad.clone() for name, p in trained(model).items()}


@pytest.mark.parametrize('refine', [True, False])
def test_image_without_instance_changes_nothing_in_training(refine):
    model = tiny_model(refine)
    filled, empty = item(random_prompts(5, 0), 0), item([], 1)
    with_empty, alone = gradients(model, batch_of(filled, empty)), gradients(model, batch_of(filled))
    for name, gradient in alone.items():
        assert (with_empty[name] - gradient).norm() <= 5e-3 * gradient.norm() + 1e-6, name


def test_batch_without_any_instance_trains():
    model = tiny_model()
    for name, gradient in gradients(model, batch_of(item([], 0), item([], 1))).items():
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
        assert not gradient.any(), name


@torch.no_grad()
def test_image_without_instance_is_evaluated():
    model = tiny_model()
    (sample,) = model.test_step(batch_of(item([], 0)))
    prediction = sample.pred_instances
    assert prediction.masks.shape == (0, 200, 256)
    assert prediction.masks.dtype == torch.bool
    assert prediction.bboxes.shape == (0, 4)
    assert len(prediction.scores) == len(prediction.labels) == 0


def test_ragged_training_equals_instance_by_instance():
    model = tiny_model()
    prompts = random_prompts(6, 2)
    together = model(**model.data_preprocessor(batch_of(item(prompts, 4)), False), mode='loss')
    data = item(prompts, 4)
    parts = []
    for i in range(6):
        one = item(prompts, 4)
        one['data_samples'].gt_instances = data['data_samples'].gt_instances[[i]]
        parts.append(model(**model.data_preprocessor(batch_of(one), False), mode='loss'))
    for name, value in together.items():
        assert value.item() == pytest.approx(np.mean([part[name].item() for part in parts]), rel=1e-4), name


@torch.no_grad()
def test_prediction_leaves_the_ground_truth_as_it_was():
    model = tiny_model()
    data = batch_of(item(random_prompts(4, 0), 0))
    before = data['data_samples'][0].gt_instances.clone()
    model.test_step(data)
    after = data['data_samples'][0].gt_instances
    assert set(after.keys()) == set(before.keys())
    assert all(
        np.array_equal(a.points, b.points) and a.is_single_click == b.is_single_click
        for a, b in zip(after.prompts, before.prompts, strict=True)
    )


@torch.no_grad()
def test_masks_of_the_resized_image_without_rescale():
    model = tiny_model()
    data = batch_of(item(random_prompts(2, 0), 0))
    processed = model.data_preprocessor(data, False)
    (sample,) = model.predict(processed['inputs'], processed['data_samples'], rescale=False)
    assert sample.pred_instances.masks.shape == (2, 100, 128)


@torch.no_grad()
def test_points_are_refined_with_the_box_of_their_first_mask():
    lone, boxed = Prompt(points=[[50.0, 40.0]], point_labels=[1]), Prompt(box=[20.0, 20.0, 80.0, 70.0])
    published, kept = tiny_model(), tiny_model(point_refinement='keep')
    (a,) = published.test_step(batch_of(item([lone, boxed], 0)))
    (b,) = kept.test_step(batch_of(item([lone, boxed], 0)))
    assert a.pred_instances.scores[0] != b.pred_instances.scores[0]
    assert torch.allclose(a.pred_instances.scores[1], b.pred_instances.scores[1], atol=1e-6)


@torch.no_grad()
def test_a_model_may_look_once_at_inference():
    once, refining, plain = (
        tiny_model(**options) for options in ({'inference_refinements': 0}, {}, {'num_refinements': 0})
    )
    once.load_state_dict(refining.state_dict())
    plain.load_state_dict(refining.state_dict(), strict=False)
    data = batch_of(item(random_prompts(6, 2), 0))
    (a,), (b,), (c,) = (model.test_step(data) for model in (once, refining, plain))
    assert not torch.allclose(a.pred_instances.scores, b.pred_instances.scores, atol=1e-4)
    assert torch.allclose(a.pred_instances.scores, c.pred_instances.scores, atol=1e-6)


def test_prompt_batch_keeps_every_token():
    prompts = [random_prompts(5, 0), [], random_prompts(4, 1)]
    batch = PromptBatch.from_prompts(prompts)
    assert batch.instances_per_image() == [5, 0, 4]
    rows = torch.cat([group.coords.flatten(0, 1) for group in batch.groups])
    assert sorted(rows.tolist()) == sorted(batch.coords.tolist())


def test_wrong_input_size_is_named():
    with pytest.raises(ConfigError, match='128 x 128 pixels, got 96 x 128'):
        tiny_model().extract_feat(torch.zeros(1, 3, 96, 128))


def test_mask_prompt_without_refinement_is_refused():
    model = tiny_model(refine=False)
    batch = PromptBatch.from_prompts([[Prompt(box=[1, 1, 9, 9])]])
    with pytest.raises(ConfigError, match='takes no mask prompts'):
        model.decode(torch.zeros(1, 256, 8, 8), batch, torch.zeros(1, 1, 32, 32))


@pytest.mark.parametrize(
    'option, value',
    [('decoder.mlp_skip', 'triple'), ('bbox_head.mask_upsampling', 'cubic'), ('num_refinements', -1),
     ('inference_refinements', -1),
     ('point_refinement', 'both'), ('prompt_encoder.box_mask', 'circle'), ('bbox_head.iou_supervision', 'none'),
     ('backbone.arch', 'tiny'), ('backbone.img_size', 100)],
)  # fmt: skip
def test_unknown_options_are_named(option, value):
    config = model_config(**{option: value})
    with pytest.raises((ConfigError, ValueError), match=str(value)):
        MODELS.build(config)


@pytest.mark.parametrize(
    'prompt, message',
    [
        (
            Prompt(points=[[5, 5], [140, 5]], point_labels=[1, 1]),
            r'object 1: a click at \(140, 5\) is outside',
        ),
        (Prompt(box=[10, 120, 20, 130]), 'object 1: the box .* is outside'),
    ],
)
def test_a_prompt_outside_the_image_is_named(prompt, message):
    with pytest.raises(PromptError, match=message):
        tiny_model().test_step(batch_of(item([Prompt(box=[1, 1, 50, 50]), prompt], 0)))
