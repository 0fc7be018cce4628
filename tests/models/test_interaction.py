"""Corrective clicks and the rounds of interactive training."""

from __future__ import annotations

import re

import pytest
import torch

from tests.models.test_properties import batch_of, gradients, item, random_prompts, tiny_model
from ultrasam.errors import ConfigError
from ultrasam.openmmlab.models.procedures import CorrectiveClicks, embedding_spread
from ultrasam.prompts.corrections import corrective_clicks
from ultrasam.structures import Prompt, PromptBatch


def test_clicks_fall_on_errors_and_say_which_kind():
    torch.manual_seed(0)
    target = torch.zeros(3, 8, 8)
    target[:, 2:6, 2:6] = 1
    logits = 10 * (target - 0.5)
    logits[0, 3, 4] = -1  # missed
    logits[1, 7, 0] = 1  # too much
    points, labels = corrective_clicks(logits, target, cell=4.0)
    assert labels.tolist() == [True, False, True]
    assert torch.equal(points[:2].div(4, rounding_mode='floor'), torch.tensor([[4.0, 3.0], [0.0, 7.0]]))
    x, y = points[2] / 4
    assert 2 <= x < 6
    assert 2 <= y < 6


def test_clicks_spread_over_the_whole_error():
    torch.manual_seed(0)
    target = torch.zeros(4000, 4, 4)
    target[:, :2, :2] = 1
    points, _ = corrective_clicks(torch.full_like(target, -1.0), target, cell=1.0)
    cells = torch.bincount((points.floor() @ torch.tensor([1.0, 4.0])).long(), minlength=16)
    assert cells[[0, 1, 4, 5]].min() > 900
    assert cells.sum() == cells[[0, 1, 4, 5]].sum()


def test_clicks_of_no_instance_and_of_an_empty_target():
    points, labels = corrective_clicks(torch.zeros(0, 4, 4), torch.zeros(0, 4, 4), 4.0)
    assert points.shape == (0, 2)
    assert labels.shape == (0,)
    _, labels = corrective_clicks(torch.full((1, 4, 4), -1.0), torch.zeros(1, 4, 4), 4.0)
    assert labels.tolist() == [False]


def test_a_click_is_added_to_each_instance_in_its_place():
    prompts = [
        [Prompt(points=[[1, 1]], point_labels=[1])],
        [Prompt(box=[2, 2, 5, 5]), Prompt(box=[3, 3, 6, 6])],
    ]
    batch = PromptBatch.from_prompts(prompts)
    more = batch.with_points(
        torch.tensor([[10.0, 11], [20, 21], [30, 31]]), torch.tensor([True, False, True])
    )
    again = PromptBatch.from_prompts(
        [
            [Prompt(points=[[1, 1], [10, 11]], point_labels=[1, 1])],
            [
                Prompt(points=[[20, 21]], point_labels=[0], box=[2, 2, 5, 5]),
                Prompt(points=[[30, 31]], point_labels=[1], box=[3, 3, 6, 6]),
            ],
        ]
    )
    assert more.counts == again.counts == (3, 3, 3)
    for rows in more.coords.view(3, 3, 2), again.coords.view(3, 3, 2):
        assert rows.shape == (3, 3, 2)
    ours = {(*c, int(r)) for c, r in zip(more.coords.tolist(), more.labels, strict=True)}
    theirs = {(*c, int(r)) for c, r in zip(again.coords.tolist(), again.labels, strict=True)}
    assert ours == theirs


@pytest.mark.parametrize('seed', range(4))
def test_every_parameter_gets_a_gradient_whatever_is_drawn(seed):
    procedure = dict(type='CorrectiveClicks', rounds=(1, 3), mask_prompt_probability=0.0)
    model = tiny_model(training_procedure=procedure).train()
    torch.manual_seed(seed)
    for name, gradient in gradients(model, batch_of(item(random_prompts(4, 0), 0), item([], 1))).items():
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name
    assert gradient.any()


def test_spread_is_zero_when_the_encoder_ignores_its_image():
    frames = torch.randn(1, 4, 3, 3).expand(5, -1, -1, -1)
    assert embedding_spread(frames) == 0
    assert embedding_spread(torch.randn(64, 4, 3, 3)) > 0.9


def test_impossible_options_are_named():
    for rounds in (0, (3, 2)):
        with pytest.raises(ConfigError, match=f'rounds={re.escape(str(rounds))}'):
            CorrectiveClicks(rounds=rounds)


@pytest.mark.parametrize('rounds', [1, (1, 3)])
def test_a_step_has_the_rounds_asked_for(rounds, monkeypatch):
    model = tiny_model(training_procedure=dict(type='CorrectiveClicks', rounds=rounds)).train()
    passes, decode = [], model.model.decode
    monkeypatch.setattr(model.model, 'decode', lambda *a, **k: passes.append(1) or decode(*a, **k))
    counts = set()
    for seed in range(12):
        torch.manual_seed(seed)
        passes.clear()
        gradients(model, batch_of(item(random_prompts(2, 0), 0)))
        counts.add(len(passes) - 1)
    assert counts == ({rounds} if isinstance(rounds, int) else {1, 2, 3})


def test_every_candidate_learns_its_own_overlap():
    torch.manual_seed(0)
    target = torch.zeros(1, 8, 8)
    target[:, 2:6, 2:6] = 1
    logits = torch.full((1, 3, 8, 8), -9.0)
    logits[0, 0, 2:6, 2:6], logits[0, 1, :4] = 9.0, 9.0
    claimed = torch.full((1, 3), 1.0, requires_grad=True)
    losses = {}
    for supervision in ('best', 'all'):
        head = tiny_model(**{'bbox_head.iou_supervision': supervision}).bbox_head
        losses[supervision] = head.loss(logits, claimed, target)['loss_iou']
    (gradient,) = torch.autograd.grad(losses['all'], claimed)
    assert losses['best'].item() == pytest.approx(0.0, abs=1e-6)  # the best claims what it has
    overlap = 8 / 40  # the second covers the upper half of the frame, half of the object in it
    assert losses['all'].item() == pytest.approx((0 + (1 - overlap) ** 2 + 1) / 3, abs=1e-6)
    assert (gradient[0, 1:] > 0).all()
