"""Packing keeps prompts and instances together."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from ultrasam.errors import ConfigError, PromptError
from ultrasam.openmmlab.transforms import PackPromptedInputs
from ultrasam.structures import Prompt, PromptBatch
from ultrasam.structures.prompts import TokenisedPrompts


def results_of(count: int) -> dict:
    boxes = np.array([[i, i, i + 5, i + 5] for i in range(count)], np.float32).reshape(-1, 4)
    return dict(
        img=np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3),
        img_id=7,
        img_path='a.png',
        ori_shape=(40, 60),
        img_shape=(20, 30),
        scale_factor=(0.5, 0.5),
        gt_bboxes=HorizontalBoxes(boxes),
        gt_bboxes_labels=np.arange(count),
        gt_ignore_flags=np.zeros(count, bool),
        gt_masks=BitmapMasks(np.zeros((count, 20, 30), np.uint8), 20, 30),
        prompts=[Prompt(box=box) for box in boxes],
    )


def test_fields_and_meta():
    packed = PackPromptedInputs()(results_of(3))
    assert packed['inputs'].shape == (3, 20, 30)
    assert packed['inputs'].dtype == torch.uint8
    sample = packed['data_samples']
    assert len(sample.gt_instances) == len(sample.gt_instances.prompts) == len(sample.gt_instances.masks) == 3
    assert sample.gt_instances.labels.tolist() == [0, 1, 2]
    assert sample.metainfo == dict(
        img_id=7, img_path='a.png', ori_shape=(40, 60), img_shape=(20, 30), scale_factor=(0.5, 0.5)
    )


def test_flip_is_kept_when_present():
    results = dict(results_of(1), flip=True, flip_direction='horizontal')
    assert PackPromptedInputs()(results)['data_samples'].flip_direction == 'horizontal'


def test_ignored_instances_leave_every_field():
    results = results_of(4)
    results['gt_ignore_flags'][[0, 2]] = True
    truth = PackPromptedInputs()(results)['data_samples'].gt_instances
    assert truth.labels.tolist() == [1, 3]
    assert [prompt.box[0] for prompt in truth.prompts] == [1, 3]
    assert len(truth.bboxes) == len(truth.masks) == 2


def test_no_instance():
    truth = PackPromptedInputs()(results_of(0))['data_samples'].gt_instances
    assert len(truth) == 0
    assert len(truth.prompts) == 0


def test_prompts_survive_indexing():
    truth = PackPromptedInputs()(results_of(3))['data_samples'].gt_instances
    assert [p.box[0] for p in truth[torch.tensor([False, True, True])].prompts] == [1, 2]


def test_missing_and_miscounted_prompts():
    results = results_of(2)
    results['prompts'].pop()
    with pytest.raises(ConfigError, match='1 prompts for 2 instances'):
        PackPromptedInputs()(results)
    del results['prompts']
    with pytest.raises(ConfigError, match='SamplePrompts'):
        PackPromptedInputs()(results)


def test_targets_say_their_sizes_and_need_masks():
    sizes = (32, 8)
    sample = PackPromptedInputs(target_sizes=sizes)(results_of(2))['data_samples']
    assert sample.target_sizes == sizes
    assert sample.gt_instances.mask_targets.shape == (2, 8, 8)
    without = results_of(2)
    del without['gt_masks']
    with pytest.raises(ConfigError, match='with_mask=True'):
        PackPromptedInputs(target_sizes=sizes)(without)
    with pytest.raises(ConfigError, match='multiple of the second'):
        PackPromptedInputs(target_sizes=(100, 30))


def test_prompts_are_tokenised_where_they_are_packed(monkeypatch: pytest.MonkeyPatch):
    sample = PackPromptedInputs()(results_of(3))['data_samples']
    sent = pickle.loads(pickle.dumps(sample)).gt_instances
    wanted = PromptBatch.from_prompts([[*sent.prompts]])

    def refuse(*_):
        raise AssertionError('tokenised again')

    monkeypatch.setattr(Prompt, 'tokens', refuse)
    found = PromptBatch.from_prompts([sent.prompts])
    assert isinstance(sent.prompts, TokenisedPrompts)
    assert torch.equal(found.coords, wanted.coords)
    assert torch.equal(found.labels, wanted.labels)
    assert (found.counts, found.single_clicks) == (wanted.counts, wanted.single_clicks)
    # a selection is a plain tuple: tokens of the whole must not be taken for its own
    assert type(sent[[0, 2]].prompts) is tuple


def test_a_prompt_outside_its_image_is_named_in_the_worker():
    results = results_of(1)
    results['prompts'] = [Prompt(points=[[90.0, 5.0]], point_labels=[1])]
    with pytest.raises(PromptError, match=r'a.png, object 0: a click at \(90, 5\) is outside'):
        PackPromptedInputs()(results)
