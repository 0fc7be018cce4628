"""Faster ways through the pipeline give what mmdet's steps give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS, TRANSFORMS
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

import ultrasam.registry  # noqa: F401
from ultrasam.datasets import UltraSamCocoDataset
from ultrasam.errors import ConfigError
from ultrasam.models.mask_head import mask_targets
from ultrasam.transforms import PackPromptedInputs, PreparePromptedSample

PROMPTS = dict(
    prompt_probabilities=dict(point=0.4, box=0.3, point_box=0.3), num_points=(1, 3), box_jitter=0.05
)
SCALE = dict(scale=(128, 128), keep_ratio=True)
ANNOTATIONS = dict(type='LoadInstanceAnnotations', with_bbox=True, with_mask=True)
SIZES = (128, 32)


def plain_steps(**pack: Any) -> list[dict]:
    return [
        dict(type='LoadImageFromFile'),
        ANNOTATIONS,
        dict(type='RandomFlip', prob=0.5),
        dict(type='FixScaleResize', **SCALE),
        dict(type='SamplePrompts', **PROMPTS),
        dict(type='PackPromptedInputs', **pack),
    ]


def one_step(**options: Any) -> list[dict]:
    return [dict(type='PreparePromptedSample', scale=(128, 128), prompts=PROMPTS, **options)]


@pytest.fixture
def samples(coco_content: dict, write_set: Any) -> list[dict]:
    # one that is ignored, and one without pixels
    coco_content['annotations'][0]['iscrowd'] = 1
    root = write_set(coco_content)
    data = UltraSamCocoDataset(
        ann_file=str(root / 'annotations.json'), data_prefix=dict(img=str(root / 'images')), pipeline=[]
    )
    return [data.get_data_info(i) for i in range(len(data))]


def results_of(steps: list[dict], sample: dict, seed: int) -> dict:
    init_default_scope('mmdet')
    np.random.seed(seed)
    results = dict(sample, instances=[dict(instance) for instance in sample['instances']])
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    return results


def assert_same(ours: dict, theirs: dict, *, pixels: bool = True) -> None:
    a, b = ours['data_samples'], theirs['data_samples']
    assert {**a.metainfo, 'target_sizes': 0} == {**b.metainfo, 'target_sizes': 0}
    assert torch.equal(a.gt_instances.bboxes.tensor, b.gt_instances.bboxes.tensor)
    assert a.gt_instances.bboxes.tensor.dtype == b.gt_instances.bboxes.tensor.dtype
    assert torch.equal(a.gt_instances.labels, b.gt_instances.labels)
    np.testing.assert_array_equal(a.gt_instances.masks.masks, b.gt_instances.masks.masks)
    for first, second in zip(a.gt_instances.prompts, b.gt_instances.prompts, strict=True):
        for x, y in zip(first.tokens(), second.tokens(), strict=True):
            np.testing.assert_array_equal(x, y)
    if pixels:
        assert ours['inputs'].dtype == theirs['inputs'].dtype == torch.uint8
        assert torch.equal(ours['inputs'], theirs['inputs'])


@pytest.mark.parametrize(
    'image', [None, dict(folder='cache'), dict(folder='cache', grey_as_one_channel=True)], ids=str
)
def test_one_step_equals_the_steps(samples: list[dict], tmp_path: Path, image: dict | None):
    if image is not None:
        image = dict(image, folder=str(tmp_path / image['folder']))
    for seed in range(12):
        for sample in samples:
            ours = results_of(one_step(image=image, target_sizes=SIZES), sample, seed)
            theirs = results_of(plain_steps(), sample, seed)
            assert_same(ours, theirs)
            truth = theirs['data_samples'].gt_instances
            wanted = mask_targets(truth.masks.to_tensor(torch.uint8, 'cpu'), *SIZES)
            assert torch.equal(ours['data_samples'].gt_instances.mask_targets.float(), wanted)


def test_contiguous_flip_equals_the_flip(samples: list[dict]):
    for direction in ('horizontal', 'vertical', 'diagonal'):
        for seed in range(6):
            found = []
            for kind in ('ContiguousRandomFlip', 'RandomFlip'):
                steps = plain_steps()
                steps[2] = dict(type=kind, prob=0.5, direction=direction)
                found.append(results_of(steps, samples[0], seed))
            assert_same(*found)
            assert results_of(steps[:2], samples[0], seed)['img'].flags.c_contiguous


@pytest.mark.parametrize('grey', [True, False])
def test_deferred_resize(samples: list[dict], tmp_path: Path, grey: bool):
    prepare = MODELS.build(dict(type='ResizingPreprocessor', pad_size_divisor=128, bgr_to_rgb=True))
    plain = MODELS.build(dict(type='DetDataPreprocessor', pad_size_divisor=128, bgr_to_rgb=True))
    if grey:
        import cv2

        for sample in samples:
            cv2.imwrite(sample['img_path'], cv2.imread(sample['img_path'], cv2.IMREAD_GRAYSCALE))
    image = dict(folder=str(tmp_path / 'cache'), grey_as_one_channel=True)
    for seed in range(4):
        theirs = [results_of(plain_steps(), sample, seed) for sample in samples]
        ours = [results_of(one_step(defer_resize=True, image=image), sample, seed) for sample in samples]
        for a, b, sample in zip(ours, theirs, samples, strict=True):
            assert_same(a, b, pixels=False)
            assert tuple(a['inputs'].shape[1:]) == (sample['height'], sample['width'])
            assert (a['inputs'].stride(0) == 0) == grey
        batches = [
            preprocess(
                dict(
                    inputs=[one['inputs'] for one in some], data_samples=[one['data_samples'] for one in some]
                )
            )
            for preprocess, some in ((prepare, ours), (plain, theirs))
        ]
        assert batches[0]['inputs'].shape == batches[1]['inputs'].shape
        assert float((batches[0]['inputs'] - batches[1]['inputs']).abs().max()) <= 1
    for steps in (
        [dict(type='DeferredResize', scale=(128, 128), keep_ratio=False)],
        [dict(type='DeferredResize', scale_factor=2.0, keep_ratio=True)],
    ):
        with pytest.raises(ConfigError, match='DeferredResize'):
            results_of(steps, samples[0], 0)


def test_deferred_step_equals_the_one_step(samples: list[dict]):
    steps = plain_steps()
    steps[3] = dict(type='DeferredResize', **SCALE)
    for seed in range(6):
        assert_same(
            results_of(one_step(defer_resize=True), samples[1], seed), results_of(steps, samples[1], seed)
        )


class Listed(torch.utils.data.Dataset):
    """Samples behind a pipeline."""

    def __init__(self, steps: list[dict], samples: list[dict]) -> None:
        self.steps, self.samples = steps, samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict:
        return results_of(self.steps, self.samples[index], index)


def test_through_data_workers(samples: list[dict], tmp_path: Path):
    """Views, masks that are not drawn and pixels of the cache arrive as they were sent."""
    image = dict(folder=str(tmp_path / 'cache'), grey_as_one_channel=True)
    data = Listed(one_step(image=image, target_sizes=SIZES, defer_resize=True), samples)
    for _ in range(2):
        loader = DataLoader(data, batch_size=2, num_workers=1, collate_fn=list)
        for batch in loader:
            for index, sent in enumerate(batch):
                assert_same(sent, data[index])


def test_refused():
    with pytest.raises(ConfigError, match='train stage'):
        PreparePromptedSample(scale=(64, 64), prompts=dict(PROMPTS, stage='test'))
    with pytest.raises(ConfigError, match='flip_prob=2'):
        PreparePromptedSample(scale=(64, 64), prompts=PROMPTS, flip_prob=2)
    with pytest.raises(ConfigError, match='multiple of the second'):
        PackPromptedInputs(target_sizes=(100, 30))


def test_targets_need_masks(samples: list[dict]):
    steps = plain_steps(target_sizes=SIZES)
    steps[1] = dict(type='LoadAnnotations', with_bbox=True)
    steps[4] = dict(type='SamplePrompts', prompt_probabilities=dict(box=1.0))
    with pytest.raises(ConfigError, match='with_mask=True'):
        results_of(steps, samples[0], 0)


def test_packed_targets_say_their_sizes(samples: list[dict]):
    sample = results_of(plain_steps(target_sizes=SIZES), samples[0], 0)['data_samples']
    assert sample.target_sizes == SIZES
    assert sample.gt_instances.mask_targets.shape[1:] == (32, 32)
