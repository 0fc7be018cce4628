"""The last step of a pipeline: an image and its prompted instances as the model takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS
from mmengine.structures import InstanceData
from torch import Tensor

from ultrasam.errors import ConfigError
from ultrasam.openmmlab.transforms.cropped_masks import cropped
from ultrasam.structures.prompts import TokenisedPrompts


@TRANSFORMS.register_module()
class PackPromptedInputs(PackDetInputs):
    """mmdet's ``PackDetInputs`` plus the prompts.

    ``inputs`` is the image (3, H, W), uint8, in the channel order of the
    loader: a view of the loaded pixels, which are not copied, and of which a
    grey image has one channel only; ``data_samples.gt_instances`` holds
    ``bboxes``, ``labels``, ``masks`` and ``prompts``
    (:class:`~ultrasam.structures.prompts.TokenisedPrompts`), one an instance. Instances with ignore flag
    1 leave every field.

    Args:
        meta_keys: keys kept as metainfo when present.
        target_sizes: sides of the padded network input and of its mask logits,
            such as (1024, 256), to add ``mask_targets``, (N, T, T), uint8, to
            the instances: masks at the size at which the loss takes them, made
            here, in a data worker, rather than in the training process. The
            metainfo ``target_sizes`` says so. The first is a multiple of the
            second.

    Raises:
        ConfigError: the pipeline made no prompts, or not one an instance; sizes
            that are no multiple; targets asked for without masks.
    """

    META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')

    def __init__(
        self,
        *,
        meta_keys: Sequence[str] = META_KEYS,
        target_sizes: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(meta_keys=(*meta_keys, 'target_sizes'))
        if target_sizes is not None and (min(target_sizes) < 1 or target_sizes[0] % target_sizes[1]):
            raise ConfigError(
                f'target_sizes={target_sizes}: give the sides of the padded input and of the mask logits, '
                'the first a multiple of the second'
            )
        self.target_sizes = None if target_sizes is None else (target_sizes[0], target_sizes[1])

    def transform(self, results: dict) -> dict:
        """Pack the results of one image."""
        prompts = results.get('prompts')
        if prompts is None:
            raise ConfigError(
                'PackPromptedInputs found no prompts: put SamplePrompts before it in the pipeline'
            )
        count = len(results.get('gt_bboxes', prompts))
        if len(prompts) != count:
            raise ConfigError(
                f'PackPromptedInputs found {len(prompts)} prompts for {count} instances: filter instances '
                'before SamplePrompts, not after it'
            )
        image = results.get('img')
        fields = {key: value for key, value in results.items() if key != 'img'}
        if self.target_sizes is not None:
            fields['target_sizes'] = self.target_sizes
        packed: dict = super().transform(fields)
        if image is not None:
            packed['inputs'] = channels_first(image)
        kept = list(range(count))
        if 'gt_ignore_flags' in results:
            kept = np.flatnonzero(np.asarray(results['gt_ignore_flags']) == 0).tolist()
        instances = packed['data_samples'].gt_instances
        # checked and tokenised here, in a data worker
        instances.prompts = TokenisedPrompts(
            (prompts[i] for i in kept), results['img_shape'][:2], str(results.get('img_path', 'an image'))
        )
        if self.target_sizes is not None:
            instances.mask_targets = targets_of(instances, *self.target_sizes)
        return packed


def targets_of(instances: InstanceData, input_size: int, target_size: int) -> Tensor:
    """Masks (N, T, T), uint8, at the size of the loss."""
    if 'masks' not in instances:
        raise ConfigError(
            f'PackPromptedInputs(target_sizes={(input_size, target_size)}) found no masks: load annotations '
            'with_mask=True'
        )
    return torch.from_numpy(cropped(instances.masks).targets(input_size, target_size))


def channels_first(image: np.ndarray) -> Tensor:
    """An image (H, W, 3), or (H, W) of one channel that stands for three, as a tensor (3, H, W)."""
    # torch takes neither pixels that may not be written, such as those of a file, nor negative strides
    if not image.flags.writeable or min(image.strides, default=0) < 0:
        image = image.copy()
    if image.ndim == 2:
        return torch.from_numpy(image).expand(3, -1, -1)
    return torch.from_numpy(image).permute(2, 0, 1)
