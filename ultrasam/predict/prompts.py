"""Prompts of a user, in pixels of the image, as the network takes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.errors import PromptError
from ultrasam.masks.foreground import box_of_mask
from ultrasam.predict.geometry import ImageGeometry
from ultrasam.structures.frames import ObjectPrompt

# labels of segment-anything: 0 and 1 are clicks, 2 and 3 the corners of a box, -1 stands for no place
BOX_LABELS = (2, 3)
PADDING_LABEL = -1


@dataclass(frozen=True)
class NetworkPrompt:
    """The prompt tokens of one object.

    Args:
        coords: Places (T, 2), float64, xy pixels of the resized image; the centre of the first pixel is (0, 0).
        labels: Kinds (T,), int64, in segment-anything's numbers.
        mask_logits: Earlier mask (1, h, h), float32, or None.
        is_single_click: True for exactly one click on the object and no box, which the published model refines in
            its own way.
    """

    coords: np.ndarray
    labels: np.ndarray
    mask_logits: np.ndarray | None
    is_single_click: bool


def network_prompt(prompt: ObjectPrompt, geometry: ImageGeometry, mask_size: int, name: str) -> NetworkPrompt:
    """Return the tokens of a prompt: clicks, then the corners of the box, or one of padding where there is no box.

    An earlier mask alone is accompanied by its own box.

    Args:
        prompt: Prompt in pixels of the image.
        geometry: Sizes of the image.
        mask_size: Side of the mask logits that the model takes.
        name: Name of the object, for messages.

    Raises:
        PromptError: A click or a box outside the image, or mask logits that are not of this model.
    """
    height, width = geometry.original_hw
    points = np.asarray(prompt.points_xy, np.float64).reshape(-1, 2)
    labels = np.asarray(prompt.point_labels, np.int64)
    outside = (points < -0.5) | (points > np.array([width, height]) - 0.5)
    if outside.any():
        bad = points[outside.any(1)][0]
        raise PromptError(
            f'{name}: a click at ({bad[0]:g}, {bad[1]:g}) is outside the image of {width} x {height} pixels'
        )
    mask_logits = None if prompt.mask_logits is None else _mask_prompt(prompt.mask_logits, mask_size, name)
    scaled = points * geometry.scale_xy
    if prompt.box_xyxy is not None:
        box = np.asarray(prompt.box_xyxy, np.float64)
        if box[0] >= width or box[1] >= height or box[2] <= 0 or box[3] <= 0:
            raise PromptError(
                f'{name}: the box {box.tolist()} is outside the image of {width} x {height} pixels'
            )
        corners = box.reshape(2, 2) * geometry.scale_xy
    elif not len(points) and mask_logits is not None:
        corners = _box_of_logits(mask_logits, geometry.input_size, name).reshape(2, 2) - 0.5
    else:
        # the network adds half a pixel: padding lies at its origin
        return NetworkPrompt(
            coords=np.concatenate([scaled, np.full((1, 2), -0.5)]),
            labels=np.append(labels, PADDING_LABEL),
            mask_logits=mask_logits,
            is_single_click=len(points) == 1 and labels[0] == 1,
        )
    return NetworkPrompt(
        coords=np.concatenate([scaled, corners]),
        labels=np.concatenate([labels, BOX_LABELS]),
        mask_logits=mask_logits,
        is_single_click=False,
    )


def _mask_prompt(logits: Any, size: int, name: str) -> np.ndarray:
    array = np.asarray(logits, np.float32)
    if array.shape[-2:] != (size, size) or array.size != size * size or not np.isfinite(array).all():
        raise PromptError(
            f'{name}: mask_logits of shape {array.shape}: '
            f'give the logits of an earlier answer of this model, (1, {size}, {size}), all finite'
        )
    return array.reshape(1, size, size)


def _box_of_logits(logits: np.ndarray, input_size: int, name: str) -> np.ndarray:
    """Return the box (4,), xyxy pixels of the padded input, of an earlier mask over that input."""
    mask = logits[0] > 0
    if not mask.any():
        raise PromptError(f'{name}: an earlier mask that is empty, and nothing else: give a point or a box')
    return box_of_mask(mask) * (input_size / logits.shape[-1])


def read_prompt_file(path: Path) -> dict[str, list[ObjectPrompt]]:
    """Read the prompts of many images from a JSON file.

    The file maps an image name (with or without folder) to a list of objects,
    each with ``points``, ``labels`` and ``box``, all but one optional::

        {"frame_001.png": [{"box": [10, 20, 90, 80]}, {"points": [[40, 50]], "labels": [1]}]}

    Args:
        path: The file.

    Returns:
        Image name to the prompts of its objects.

    Raises:
        PromptError: The file is missing, is not JSON, or has another form.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise PromptError(f'{path}: cannot be read ({error.strerror or error}). Check the path') from None
    except ValueError as error:
        raise PromptError(f'{path}: not valid JSON ({error}). Correct the file there') from None
    if not isinstance(content, dict):
        raise PromptError(f'{path}: give an object that maps image names to lists of objects')
    return {name: _objects(path, name, entries) for name, entries in content.items()}


def _objects(path: Path, name: str, entries: Any) -> list[ObjectPrompt]:
    if not isinstance(entries, list):
        raise PromptError(f'{path}: the entry of {name} is not a list of objects')
    prompts = []
    for i, entry in enumerate(entries):
        unknown = (
            sorted(set(entry) - {'points', 'labels', 'box'}) if isinstance(entry, dict) else ['not an object']
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
