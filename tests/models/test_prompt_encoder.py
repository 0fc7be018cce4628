"""The ellipse that stands in for the mask of a box."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.test_properties import assert_same, batch_of, item, random_prompts, tiny_model
from ultrasam.errors import ConfigError
from ultrasam.models.prompt_encoder import SamPromptEncoder, ellipse_logits
from ultrasam.structures import Prompt, PromptBatch

ELLIPSE = {'prompt_encoder.box_mask': 'ellipse'}


def test_ellipse_has_its_area_and_stays_in_its_box():
    boxes = torch.tensor([[40.0, 60.0, 200.0, 120.0], [0.0, 0.0, 256.0, 256.0], [30.0, 30.0, 31.0, 31.0]])
    logits = ellipse_logits(boxes, 256, 64)
    area = (logits > 0).flatten(1).sum(1) * 16
    assert area[0] == pytest.approx(np.pi / 4 * 160 * 60, rel=0.03)
    assert area[1] == pytest.approx(np.pi / 4 * 256 * 256, rel=0.01)
    rows, columns = (logits[0] > -8).nonzero().T
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 49, 15, 29)
    assert torch.isfinite(logits).all()
    assert -8 <= logits.min() <= logits.max() <= 8


def test_logits_near_the_edge_tell_the_distance_in_cells():
    row = ellipse_logits(torch.tensor([[64.0, 64.0, 192.0, 192.0]]), 256, 64)[0, 31]
    assert float(row[16]) == pytest.approx(0.5, abs=0.02)  # its centre is half a cell from the left edge
    assert float(row[15]) == -8.0
    assert float(row[17] - row[16]) == pytest.approx(1.0, abs=0.01)


def test_only_boxes_without_mask_are_drawn():
    torch.manual_seed(0)
    plain, drawing = SamPromptEncoder(img_size=64), SamPromptEncoder(img_size=64, box_mask='ellipse')
    drawing.load_state_dict(plain.state_dict())
    click = Prompt(points=np.float32([[20, 20], [30, 30]]), point_labels=[1, 0])
    both = Prompt(points=np.float32([[20, 20]]), point_labels=[1], box=np.float32([10, 12, 40, 50]))
    batch = PromptBatch.from_prompts([[click, both]])
    ((_, coords, labels, _),) = batch.groups
    dense = drawing.dense(None, coords, labels)
    wanted = drawing.mask_downscaling(
        ellipse_logits(torch.tensor([[10.0, 12.0, 40.0, 50.0]]), 64, 16)[:, None]
    )
    assert torch.equal(dense[0], plain.dense(None, coords, labels)[0].expand_as(dense[0]))
    assert torch.allclose(dense[1], wanted[0], atol=1e-6)
    mask = torch.randn(2, 1, 16, 16)
    assert torch.equal(drawing.dense(mask, coords, labels), plain.dense(mask, coords, labels))


@torch.no_grad()
def test_instances_stay_independent_and_boxes_change():
    model, published = tiny_model(**ELLIPSE), tiny_model()
    prompts = random_prompts(12, 5)
    (together,) = model.test_step(batch_of(item(prompts, 1)))
    for i, prompt in enumerate(prompts):
        (alone,) = model.test_step(batch_of(item([prompt], 1)))
        assert_same(together.pred_instances[i], alone.pred_instances)
    (without,) = published.test_step(batch_of(item(prompts, 1)))
    changed = (together.pred_instances.scores - without.pred_instances.scores).abs() > 1e-5
    assert changed.tolist() == [prompt.box is not None for prompt in prompts]


def test_needs_mask_prompts():
    with pytest.raises(ConfigError, match='num_refinements'):
        SamPromptEncoder(mask_prompts=False, box_mask='ellipse')
