"""The training pipeline of the published recipe as one step, for machines with few cores for each GPU."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms.base import BaseTransform
from mmdet.datasets.transforms.transforms import rescale_size
from mmdet.registry import TRANSFORMS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from ultrasam.errors import ConfigError
from ultrasam.transforms.loading import LoadCachedImage, load_masks
from ultrasam.transforms.packing import PackPromptedInputs, channels_first, targets_of
from ultrasam.transforms.resizing import ContiguousRandomFlip, flipped
from ultrasam.transforms.sampling import SamplePrompts


@TRANSFORMS.register_module()
class PreparePromptedSample(BaseTransform):
    """Loads, flips, resizes, prompts and packs a sample to train on, in one step.

    What it gives for a state of numpy's random generator is what these steps
    give one after the other: ``LoadCachedImage``, ``LoadInstanceAnnotations``,
    ``ContiguousRandomFlip``, ``FixScaleResize`` (or ``DeferredResize``),
    ``SamplePrompts`` and ``PackPromptedInputs``. It leaves out what those
    record for steps between them, and does without their book-keeping, which
    costs more than the pixels once these come from a cache.

    Args:
        scale: width and height within which the image is resized, its ratio kept.
        prompts: arguments of ``SamplePrompts``, of the train stage.
        flip_prob: chance of a flip from left to right.
        image: arguments of ``LoadCachedImage``.
        defer_resize: leave the pixels to ``ResizingPreprocessor``.
        target_sizes: as for ``PackPromptedInputs``.

    Raises:
        ConfigError: prompts of the test stage, a chance outside [0, 1], or
            what the steps refuse.
    """

    def __init__(
        self,
        *,
        scale: tuple[int, int],
        prompts: dict[str, Any],
        flip_prob: float = 0.5,
        image: dict[str, Any] | None = None,
        defer_resize: bool = False,
        target_sizes: tuple[int, int] | None = None,
    ) -> None:
        if not 0 <= flip_prob <= 1 or prompts.get('stage', 'train') != 'train':
            raise ConfigError(
                f'PreparePromptedSample(flip_prob={flip_prob}, prompts={prompts}): give a chance from 0 to 1, '
                'and prompts of the train stage'
            )
        self.scale = (scale[0], scale[1])
        self.load = LoadCachedImage(**(image or {}))
        self.flip = ContiguousRandomFlip(prob=float(flip_prob), direction='horizontal')
        self.prompt = SamplePrompts(**prompts)
        self.pack = PackPromptedInputs(target_sizes=target_sizes)
        self.defer_resize = defer_resize

    def transform(self, results: dict) -> dict:
        """The packed sample: ``inputs`` and ``data_samples``, as ``PackPromptedInputs`` gives them."""
        self.load.transform(results)
        instances = results.get('instances', [])
        found = dict(
            results,
            gt_bboxes=np.array([one['bbox'] for one in instances], np.float32).reshape(-1, 4),
            gt_bboxes_labels=np.array([one['bbox_label'] for one in instances], np.int64),
            gt_ignore_flags=np.array([one['ignore_flag'] for one in instances], bool),
            gt_masks=load_masks(results),
        )
        self._flip(found)
        self._resize(found)
        return self._packed(self.prompt.transform(found))

    def _flip(self, found: dict) -> None:
        direction = self.flip._choose_direction()
        found['flip'], found['flip_direction'] = direction is not None, direction
        if direction is None:
            return
        width = found['img'].shape[1]
        found['img'] = flipped(found['img'], direction)
        found['gt_masks'] = found['gt_masks'].flip(direction)
        found['gt_bboxes'][:, [0, 2]] = width - found['gt_bboxes'][:, [2, 0]]

    def _resize(self, found: dict) -> None:
        height, width = found['img'].shape[:2]
        new_width, new_height = rescale_size((width, height), self.scale)
        if not self.defer_resize:
            found['img'] = cv2.resize(found['img'], (new_width, new_height), interpolation=cv2.INTER_LINEAR)
        found['img_shape'] = (new_height, new_width)
        found['scale_factor'] = (new_width / width, new_height / height)
        found['gt_masks'] = found['gt_masks'].rescale(self.scale)
        boxes = found['gt_bboxes'] * np.array(found['scale_factor'] * 2, np.float32)
        limit = np.array((new_width, new_height) * 2, np.float32)
        found['gt_bboxes'] = boxes.clip(0, limit)

    def _packed(self, found: dict) -> dict:
        kept = np.flatnonzero(~found['gt_ignore_flags'])
        instances = InstanceData()
        instances.bboxes = HorizontalBoxes(torch.from_numpy(found['gt_bboxes'][kept]), clone=False)
        instances.labels = torch.from_numpy(found['gt_bboxes_labels'][kept])
        instances.masks = found['gt_masks'][kept]
        instances.prompts = [found['prompts'][i] for i in kept]
        if self.pack.target_sizes is not None:
            found['target_sizes'] = self.pack.target_sizes
            instances.mask_targets = targets_of(instances, *self.pack.target_sizes)
        sample = DetDataSample(metainfo={key: found[key] for key in self.pack.meta_keys if key in found})
        sample.gt_instances = instances
        sample.ignored_instances = InstanceData()
        return dict(inputs=channels_first(found['img']), data_samples=sample)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(scale={self.scale}, defer_resize={self.defer_resize}, {self.load}, '
            f'{self.flip}, {self.prompt})'
        )
