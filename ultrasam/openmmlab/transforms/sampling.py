"""The pipeline step that prompts every annotated instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from mmcv.transforms.base import BaseTransform
from mmdet.registry import TRANSFORMS

from ultrasam.errors import ConfigError
from ultrasam.masks.cropped import CroppedMask
from ultrasam.openmmlab.transforms.cropped_masks import cropped
from ultrasam.prompts.recipe import PromptRecipe, apply_draw, draw_prompt

_INSTANCE_FIELDS = ('gt_bboxes', 'gt_bboxes_labels', 'gt_masks', 'gt_ignore_flags')


@TRANSFORMS.register_module()
class SamplePrompts(BaseTransform):
    """Prompt every annotated instance as a user would.

    The published behaviours are
    ``SamplePrompts(prompt_probabilities=dict(point=0.5, box=0.5), box_jitter=0.05)``
    for training, after the resize; ``SamplePrompts(prompt_probabilities=dict(point=1.0),
    point='centre', stage='test')`` and ``SamplePrompts(prompt_probabilities=dict(box=1.0),
    stage='test')`` for testing, with annotations loaded after the resize.

    An instance whose mask has no foreground inside the image (lost by
    downscaling, or empty in the file) is removed with all its fields in the
    train stage; in the test stage, where every instance must be answered, a
    click on it goes to the centre of its box.

    All choices of one call come from one generator seeded from numpy's global
    state, which mmengine seeds in each worker; a recipe without chance leaves
    that state alone.

    Required keys: ``gt_bboxes``, ``img_shape``; ``gt_masks`` for clicks on
    masks; ``scale_factor`` in the test stage.
    Added key: ``prompts``, a list of :class:`ultrasam.structures.Prompt`, one
    an instance, in pixels of the padded network input.

    Args:
        prompt_probabilities: ``probabilities`` of :class:`PromptRecipe`.
        max_instances: most instances of an image to train on, drawn anew each
            time, which bounds the memory of a step; None takes all.
        **recipe: other options of :class:`PromptRecipe`.

    Raises:
        ConfigError: an argument without meaning, or a pipeline that does not
            provide the required keys.
    """

    # read by the check of configs
    keywords_of: ClassVar[type] = PromptRecipe

    def __init__(
        self,
        *,
        prompt_probabilities: Mapping[str, float],
        max_instances: int | None = None,
        **recipe: Any,
    ) -> None:
        known = [field.name for field in fields(PromptRecipe)][1:]
        unknown = sorted(set(recipe) - set(known))
        if unknown:
            raise ConfigError(
                f'SamplePrompts takes no {", ".join(unknown)}: choose from prompt_probabilities, max_instances, '
                f'{", ".join(known)}'
            )
        self.recipe = PromptRecipe(probabilities=dict(prompt_probabilities), **recipe)
        stage = self.recipe.stage
        if max_instances is not None and (max_instances < 1 or stage != 'train'):
            raise ConfigError(
                f'SamplePrompts(max_instances={max_instances}, stage={stage!r}): give at least 1, and only to '
                'train: in a test every instance is answered'
            )
        self.max_instances = max_instances

    def transform(self, results: dict) -> dict:
        """Add ``prompts`` to the results of one image."""
        self._require(results)
        if self.recipe.stage == 'train':
            self._drop_empty(results)
            self._draw_instances(results)
        boxes, masks = _plain_boxes(results), _visible_masks(results, self.recipe.stage)
        scale = results['scale_factor'] if self.recipe.stage == 'test' else (1.0, 1.0)
        rng = _generator() if self.recipe.is_random else None
        results['prompts'] = [
            apply_draw(
                draw_prompt(self.recipe, rng),
                self.recipe,
                mask=None if masks is None else masks[i],
                box=box,
                size_hw=results['img_shape'][:2],
                scale_xy=scale,
            )
            for i, box in enumerate(boxes)
        ]
        return results

    def _require(self, results: dict) -> None:
        needed = ['gt_bboxes', 'img_shape']
        needed += ['gt_masks'] if self.recipe.needs_masks else []
        needed += ['scale_factor'] if self.recipe.stage == 'test' else []
        missing = [key for key in needed if results.get(key) is None]
        if missing:
            raise ConfigError(
                f'SamplePrompts(stage={self.recipe.stage!r}) found no {", ".join(missing)}: put the resize '
                f'and an annotation loader (with_bbox=True, with_mask=True) before it in the pipeline'
            )

    def _drop_empty(self, results: dict) -> None:
        masks = _visible_masks(results, 'train')
        if masks is None:
            return
        filled = np.array([mask.has_foreground for mask in masks], bool)
        if not filled.all():
            _keep(results, np.flatnonzero(filled))

    def _draw_instances(self, results: dict) -> None:
        count = len(results['gt_bboxes'])
        if self.max_instances is not None and count > self.max_instances:
            _keep(results, np.sort(_generator().choice(count, self.max_instances, replace=False)))

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.recipe})'


def _generator() -> np.random.Generator:
    """A generator seeded from numpy's global state, the one that mmengine seeds in every worker."""
    return np.random.default_rng(np.random.randint(0, 2**32, size=4, dtype=np.uint32))


def _keep(results: dict, indices: np.ndarray) -> None:
    """Leave the instances of these indices (K,) in every field that lists instances."""
    for key in _INSTANCE_FIELDS:
        if key in results:
            results[key] = results[key][indices]


def _plain_boxes(results: dict) -> np.ndarray:
    """Boxes (N, 4), float64, xyxy, from an array or a box structure of mmdet."""
    boxes = results['gt_bboxes']
    return np.asarray(getattr(boxes, 'tensor', boxes), np.float64).reshape(-1, 4)


def _visible_masks(results: dict, stage: str) -> list[CroppedMask] | None:
    """Masks, one an instance, without the row or column that mmdet's rounding adds beyond the resized image."""
    masks = results.get('gt_masks')
    if masks is None:
        return None
    masks = cropped(masks)
    return masks.visible(results['img_shape'][:2]).items if stage == 'train' else masks.items
