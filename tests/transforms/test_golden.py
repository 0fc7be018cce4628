"""Prompts and training targets equal those of the published pipelines."""

from __future__ import annotations

import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import ultrasam.openmmlab.datasets
import ultrasam.openmmlab.transforms  # noqa: F401
from tests.golden import FRAMES, ROOT, needs_frames, needs_golden, read_json

pytestmark = [needs_golden, needs_frames]


def dataset(kind: str, part: str, size: int):
    """The ten sample frames behind a pipeline of the shipped configs, at another size."""
    init_default_scope('mmdet')
    config = Config.fromfile(ROOT / f'configs/_base_/datasets/ultrasam_{kind}.py')
    settings = config[f'{part}_dataloader'].dataset
    settings.update(data_root=str(FRAMES), ann_file='annotations.json', data_prefix=dict(img=''))
    for step in settings.pipeline:
        if step.type == 'FixScaleResize':
            step.scale = (size, size)
        if step.type == 'ContiguousRandomFlip':
            step.prob = 0.0
    return DATASETS.build(settings)


@pytest.mark.parametrize('kind', ['point', 'box'])
def test_prompts_of_all_frames(kind: str):
    expected = read_json('small_predictions.json')[f'small_{kind}_refine']
    frames = dataset(kind, 'test', 256)
    assert len(frames) == len(expected) == 10
    for i, want in enumerate(expected):
        sample = frames[i]['data_samples']
        assert sample.img_path.endswith(want['file_name'])
        (prompt,) = sample.gt_instances.prompts
        if kind == 'point':
            np.testing.assert_allclose(prompt.points, want['prompts']['points'][0], atol=1e-3)
            assert prompt.box is None
        else:
            np.testing.assert_allclose(prompt.box.reshape(1, 2, 2), want['prompts']['boxes'], atol=1e-3)
            assert len(prompt.points) == 0


def test_worked_example_at_full_size():
    # frame 0: 533 x 958 becomes 569 x 1023
    box = dataset('box', 'test', 1024)[0]['data_samples']
    assert box.img_shape == (569, 1023)
    np.testing.assert_allclose(box.scale_factor, (1.0678497, 1.0675422), atol=1e-6)
    np.testing.assert_allclose(
        box.gt_instances.prompts[0].box, [348.619, 165.969, 466.082, 301.547], atol=1e-3
    )
    point = dataset('point', 'test', 1024)[0]['data_samples'].gt_instances.prompts[0]
    np.testing.assert_allclose(point.points, [[407.180, 232.551]], atol=1e-3)


def test_training_targets():
    expected = read_json('small_losses.json')['small_refine']
    frames = dataset('box', 'train', 256)
    for i, want in zip(expected['image_ids'], expected['prompts'], strict=True):
        sample = frames[i]['data_samples']
        assert list(sample.img_shape) == want['img_shape']
        assert [int(mask.sum()) for mask in sample.gt_instances.masks.masks] == want['mask_area']
        # the published box carries the half pixel that SamplePrompts adds to it
        np.testing.assert_allclose(
            sample.gt_instances.bboxes.tensor.numpy() + 0.5, np.reshape(want['boxes'], (1, 4)), atol=1e-3
        )
