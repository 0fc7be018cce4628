"""Propagation through the frames of a file: each is prompted with the masks of the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ultrasam.masks.foreground import box_of_mask
from ultrasam.predict.predictor import EncodedImage, Predictor
from ultrasam.structures.frames import ObjectPrompt, Segmentation


class CarriedPrompts:
    """Answers the first frame with the prompts, each later one with the masks of the frame before.

    Nothing else is carried along: no memory, no motion model; an object that is lost stays lost and keeps
    an empty mask.

    Args:
        predictor: The model.
        prompts: one an object.
        refinements: passes after the first; None for those of the model.
    """

    def __init__(
        self, predictor: Predictor, prompts: Sequence[ObjectPrompt], refinements: int | None
    ) -> None:
        self._predictor = predictor
        self._prompts = prompts
        self._refinements = refinements
        self._current: list[ObjectPrompt | None] = list(prompts)

    def answer(self, encoded: EncodedImage) -> Segmentation:
        """Masks of the next frame; raises PromptError for a prompt that means nothing there."""
        alive = [i for i, prompt in enumerate(self._current) if prompt is not None]
        prompts = [prompt for prompt in self._current if prompt is not None]
        answer = self._predictor.decode(encoded, prompts, refinements=self._refinements)
        full = _spread(answer, alive, self._prompts, encoded.geometry.original_hw)
        for i in alive:
            self._current[i] = _prompt_of_mask(full.masks[i], full.logits[i])
        return full


def _spread(
    answer: Segmentation, alive: Sequence[int], prompts: Sequence[ObjectPrompt], size_hw: tuple[int, int]
) -> Segmentation:
    """An answer for some objects as one for all: the others are empty and of no class."""
    masks = np.zeros((len(prompts), *size_hw), bool)
    scores = np.zeros(len(prompts), np.float32)
    logits = np.full((len(prompts), *answer.logits.shape[1:]), -1.0, np.float32)
    rows = list(alive)
    masks[rows], scores[rows], logits[rows] = answer.masks, answer.scores, answer.logits
    classes = None
    if answer.class_scores is not None:
        classes = np.full((len(prompts), len(answer.class_names)), np.nan, np.float32)
        classes[rows] = answer.class_scores
    shown = list(prompts)
    for i, prompt in zip(alive, answer.prompts, strict=True):
        shown[i] = prompt
    return replace(
        answer, masks=masks, scores=scores, logits=logits, prompts=tuple(shown), class_scores=classes
    )


def _prompt_of_mask(mask: np.ndarray, logits: np.ndarray) -> ObjectPrompt | None:
    """A mask as the prompt of the next frame: its box and its logits; None if it is empty."""
    if not mask.any():
        return None
    return ObjectPrompt(box_xyxy=box_of_mask(mask), mask_logits=logits[None])
