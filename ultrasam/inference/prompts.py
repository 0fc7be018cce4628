"""Prompts of a user, in pixels of the image, as the network takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample

from ultrasam.errors import PromptError
from ultrasam.structures import ObjectPrompt, Prompt


def box_of_mask(mask: np.ndarray) -> np.ndarray:
    """Tight box (4,), float64, xyxy pixels, right and bottom exclusive, of a mask (H, W), bool, not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def network_prompt(prompt: ObjectPrompt, sample: DetDataSample, input_size: int, name: str) -> Prompt:
    """A prompt in pixels of the padded network input.

    A pixel of the image becomes ``x * scale + 0.5``, as the published test
    pipeline has it.  An earlier mask alone is accompanied by its own box.

    Args:
        prompt: in pixels of the image.
        sample: with ``ori_shape``, ``img_shape`` and ``scale_factor``.
        input_size: side of the padded network input in pixels.
        name: of the object, for messages.

    Raises:
        PromptError: a click or a box outside the image.
    """
    height, width = sample.ori_shape[:2]
    scale = np.asarray(sample.scale_factor, np.float64)
    points = np.asarray(prompt.points_xy, np.float64).reshape(-1, 2)
    box = None if prompt.box_xyxy is None else np.asarray(prompt.box_xyxy, np.float64)
    outside = (points < -0.5) | (points > np.array([width, height]) - 0.5)
    if outside.any():
        bad = points[outside.any(1)][0]
        raise PromptError(
            f'{name}: a click at ({bad[0]:g}, {bad[1]:g}) is outside the image of {width} x {height} pixels'
        )
    if box is not None:
        if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
            raise PromptError(
                f'{name}: the box {box.tolist()} is outside the image of {width} x {height} pixels'
            )
        box = box * np.tile(scale, 2) + 0.5
    if box is None and not len(points):
        box = _box_of_logits(np.asarray(prompt.mask_logits), input_size, name)
    return Prompt(points=points * scale + 0.5, point_labels=np.asarray(prompt.point_labels), box=box)


def _box_of_logits(logits: np.ndarray, input_size: int, name: str) -> np.ndarray:
    """Box (4,), xyxy pixels of the padded input, of an earlier mask over that input."""
    mask = logits.reshape(logits.shape[-2:]) > 0
    if not mask.any():
        raise PromptError(f'{name}: an earlier mask that is empty, and nothing else: give a point or a box')
    return box_of_mask(mask) * (input_size / logits.shape[-1])


def read_prompt_file(path: Path) -> dict[str, list[ObjectPrompt]]:
    """Prompts of many images from a JSON file.

    The file maps an image name (with or without folder) to a list of objects,
    each with ``points``, ``labels`` and ``box``, all but one optional::

        {"frame_001.png": [{"box": [10, 20, 90, 80]}, {"points": [[40, 50]], "labels": [1]}]}

    Args:
        path: the file.

    Returns:
        Image name to the prompts of its objects.

    Raises:
        PromptError: the file is missing, is no JSON, or has another form.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise PromptError(
            f'{path}: no prompt file ({error}). It maps image names to lists of objects.'
        ) from None
    if not isinstance(content, dict):
        raise PromptError(f'{path}: give an object that maps image names to lists of objects')
    return {name: _objects(path, name, entries) for name, entries in content.items()}


def _objects(path: Path, name: str, entries: Any) -> list[ObjectPrompt]:
    if not isinstance(entries, list):
        raise PromptError(f'{path}: the entry of {name} is no list of objects')
    prompts = []
    for i, entry in enumerate(entries):
        unknown = (
            sorted(set(entry) - {'points', 'labels', 'box'}) if isinstance(entry, dict) else ['no object']
        )
        if unknown:
            raise PromptError(f'{path}: {name}, object {i}: {", ".join(unknown)}: use points, labels and box')
        try:
            prompts.append(
                ObjectPrompt(
                    points_xy=entry.get('points', []),
                    point_labels=entry.get('labels'),
                    box_xyxy=entry.get('box'),
                )
            )
        except (PromptError, ValueError, TypeError) as error:
            raise PromptError(f'{path}: {name}, object {i}: {error}') from None
    return prompts
