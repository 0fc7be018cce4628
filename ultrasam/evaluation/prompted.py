"""Dice of a promptable model under simulated users: clicks, boxes, corrections, sloppy boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from pycocotools.coco import COCO
from torch import Tensor

from ultrasam.errors import AnnotationError, InputError
from ultrasam.inference.inferencer import UltraSamInferencer
from ultrasam.inference.prompts import box_of_mask
from ultrasam.inference.readers import open_frames
from ultrasam.structures import ObjectPrompt, Segmentation


@dataclass(frozen=True)
class EncodedFrame:
    """A frame that was encoded once, and the truth about it.

    Args:
        image: (H, W, 3), uint8, RGB.
        embedding: (1, C, h, w), float.
        sample: the sizes of its image.
        truths: (N, H, W), bool.
    """

    image: np.ndarray
    embedding: Tensor
    sample: DetDataSample
    truths: np.ndarray


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice coefficient of two boolean masks; 1 if both are empty.

    Example:
        >>> dice(np.array([True, True, False]), np.array([True, False, False]))
        0.6666666666666666
    """
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def innermost_pixel(region: np.ndarray) -> tuple[float, float]:
    """The pixel (x, y) of a region that is farthest from its border, the image border included."""
    distance = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(x), float(y)


def corrective_click(mask: np.ndarray, truth: np.ndarray) -> tuple[tuple[float, float], int] | None:
    """Where an annotator clicks next: amid the largest error (Sofiiuk et al. 2022, section 4.2).

    Returns:
        Pixel (x, y) and label, 1 on the object, 0 off it; None where nothing is wrong.
    """
    wrong = mask ^ truth
    if not wrong.any():
        return None
    _, regions, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    x, y = innermost_pixel(regions == largest)
    return (x, y), int(truth[int(y), int(x)])


def inscribed_ellipse(box: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The ellipse that touches the sides of a box, (H, W), bool: what a box tells without any model."""
    x1, y1, x2, y2 = box
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    return ((2 * xs - x1 - x2) / (x2 - x1)) ** 2 + ((2 * ys - y1 - y2) / (y2 - y1)) ** 2 <= 1


def jittered_box(box: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A box whose sides each moved by up to ``share`` of its size."""
    size = np.tile(box[2:] - box[:2], 2)
    return box + rng.uniform(-share, share, 4) * size


def encoded_frames(inferencer: UltraSamInferencer, annotations: Path, images: Path) -> Iterator[EncodedFrame]:
    """Read and encode the annotated frames of a COCO file; frames without objects are left out.

    Raises:
        AnnotationError: an image that cannot be read.
    """
    coco = COCO(str(annotations))
    for image_id in sorted(coco.imgs):
        entry = coco.imgs[image_id]
        truths = [coco.annToMask(a).astype(bool) for a in coco.imgToAnns[image_id]]
        truths = [truth for truth in truths if truth.any()]
        if not truths:
            continue
        try:
            with open_frames(images / entry['file_name']) as source:
                image = source.frame(0).image
        except InputError as error:
            raise AnnotationError(f'{annotations}: names an image that cannot be used: {error}') from error
        (embedding,), (sample,) = inferencer.encode([image])
        yield EncodedFrame(image, embedding[None], sample, np.stack(truths))


PromptRule = Callable[[np.ndarray, np.random.Generator], ObjectPrompt]
"""From a true mask to the prompt of a simulated user."""


def point_rule(count: int) -> PromptRule:
    """The innermost pixel, then further pixels of the object at random."""

    def rule(truth: np.ndarray, rng: np.random.Generator) -> ObjectPrompt:
        pixels = np.argwhere(truth)[:, ::-1]
        more = pixels[rng.integers(len(pixels), size=count - 1)]
        return ObjectPrompt(points_xy=[innermost_pixel(truth), *map(tuple, more)])

    return rule


def box_rule(jitter: float = 0.0, point: bool = False) -> PromptRule:
    """The tight box, moved by up to ``jitter`` of its size, with the innermost pixel if asked."""

    def rule(truth: np.ndarray, rng: np.random.Generator) -> ObjectPrompt:
        box = jittered_box(box_of_mask(truth), jitter, rng) if jitter else box_of_mask(truth)
        return ObjectPrompt(points_xy=[innermost_pixel(truth)] if point else [], box_xyxy=box)

    return rule


RULES: dict[str, PromptRule] = {
    'point': point_rule(1),
    '3 points': point_rule(3),
    'box': box_rule(),
    'box + point': box_rule(point=True),
}


def dice_of_rule(
    inferencer: UltraSamInferencer, frames: Sequence[EncodedFrame], rule: PromptRule, *, seed: int = 0
) -> list[float]:
    """Dice of every object when each is prompted by a rule."""
    rng = np.random.default_rng(seed)
    found = []
    for frame in frames:
        prompts = [rule(truth, rng) for truth in frame.truths]
        answer = inferencer.answer(frame.embedding, frame.sample, prompts)
        found += [dice(mask, truth) for mask, truth in zip(answer.masks, frame.truths, strict=True)]
    return found


def dice_of_ellipse(frames: Sequence[EncodedFrame]) -> list[float]:
    """Dice of the ellipse inscribed in the true box: the figure to beat with a box."""
    return [
        dice(inscribed_ellipse(box_of_mask(truth), truth.shape), truth)
        for frame in frames
        for truth in frame.truths
    ]


def swapped(frames: Sequence[EncodedFrame]) -> list[EncodedFrame]:
    """Each frame with the embedding of the next: where Dice does not collapse, the encoder is not used."""
    embeddings = [frame.embedding for frame in frames]
    return [
        replace(frame, embedding=embedding)
        for frame, embedding in zip(frames, embeddings[1:] + embeddings[:1], strict=True)
    ]


def dice_per_click(inferencer: UltraSamInferencer, frames: Sequence[EncodedFrame], clicks: int) -> np.ndarray:
    """Dice of every object after each of several clicks on its largest error.

    Returns:
        (objects, clicks), float. An object without error keeps its mask.
    """
    rows = []
    for frame in frames:
        prompts = [RULES['point'](truth, np.random.default_rng(0)) for truth in frame.truths]
        curves = []
        for _ in range(clicks):
            answer = inferencer.answer(frame.embedding, frame.sample, prompts)
            curves.append([dice(m, t) for m, t in zip(answer.masks, frame.truths, strict=True)])
            prompts = _clicked(answer, frame.truths)
        rows += np.array(curves).T.tolist()
    return np.array(rows)


def _clicked(answer: Segmentation, truths: np.ndarray) -> list[ObjectPrompt]:
    """The prompts with one more click each, and the answer as mask prompt."""
    prompts = []
    for i, prompt in enumerate(answer.prompts):
        click = corrective_click(answer.masks[i], truths[i])
        points, labels = [tuple(p) for p in prompt.points_xy], list(np.asarray(prompt.point_labels))
        if click is not None:
            points, labels = [*points, click[0]], [*labels, click[1]]
        prompts.append(
            ObjectPrompt(
                points_xy=points,
                point_labels=labels,
                box_xyxy=prompt.box_xyxy,
                mask_logits=answer.logits[i][None],
            )
        )
    return prompts
