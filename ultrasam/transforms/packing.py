"""The last step of a pipeline: an image and its prompted instances as the model takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS

from ultrasam.errors import ConfigError


@TRANSFORMS.register_module()
class PackPromptedInputs(PackDetInputs):
    """mmdet's ``PackDetInputs`` plus the prompts.

    ``inputs`` is the image (3, H, W), uint8, in the channel order of the
    loader; ``data_samples.gt_instances`` holds ``bboxes``, ``labels``,
    ``masks`` and ``prompts``, a list with one
    :class:`ultrasam.structures.Prompt` an instance. Instances with ignore flag
    1 leave every field.

    Args:
        meta_keys: keys kept as metainfo when present.

    Raises:
        ConfigError: the pipeline made no prompts, or not one an instance.
    """

    META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')

    def __init__(self, *, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

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
        packed = super().transform(results)
        kept = np.arange(count)
        if 'gt_ignore_flags' in results:
            kept = np.flatnonzero(np.asarray(results['gt_ignore_flags']) == 0)
        packed['data_samples'].gt_instances.prompts = [prompts[i] for i in kept]
        return packed
