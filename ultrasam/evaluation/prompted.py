"""Dice of a promptable model on a few frames that are held in memory, prompted by simulated users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ultrasam.errors import AnnotationError, InputError
from ultrasam.evaluation.ground_truth import GroundTruth
from ultrasam.evaluation.metrics import dice
from ultrasam.io.readers import open_frames
from ultrasam.predict import EncodedImage, Predictor
from ultrasam.prompts.users import PromptRule, box_rule, point_rule


@dataclass(frozen=True)
class EncodedFrame:
    """A frame that was encoded once, and the truth about it.

    Args:
        image: (H, W, 3), uint8, RGB.
        encoded: the same, encoded.
        truths: (N, H, W), bool.
    """

    image: np.ndarray
    encoded: EncodedImage
    truths: np.ndarray


def encoded_frames(predictor: Predictor, annotations: Path, images: Path) -> Iterator[EncodedFrame]:
    """Read and encode the annotated frames of a COCO file; frames without objects are left out.

    Raises:
        AnnotationError: the file is missing or faulty, or names an image that cannot be read.
    """
    for frame in GroundTruth(annotations):
        if not frame.objects:
            continue
        try:
            with open_frames(images / frame.file_name) as source:
                image = source.frame(0).image
        except InputError as error:
            raise AnnotationError(f'{annotations}: names an image that cannot be used: {error}') from error
        yield EncodedFrame(image, predictor.encode(image), frame.masks())


RULES: dict[str, PromptRule] = {
    'point': point_rule(1),
    '3 points': point_rule(3),
    'box': box_rule(),
    'box + point': box_rule(point=True),
}


def dice_of_rule(
    predictor: Predictor, frames: Sequence[EncodedFrame], rule: PromptRule, *, seed: int = 0
) -> list[float]:
    """Dice of every object when each is prompted by a rule."""
    rng = np.random.default_rng(seed)
    found = []
    for frame in frames:
        prompts = [rule(truth, rng) for truth in frame.truths]
        answer = predictor.decode(frame.encoded, prompts)
        found += [dice(mask, truth) for mask, truth in zip(answer.masks, frame.truths, strict=True)]
    return found
