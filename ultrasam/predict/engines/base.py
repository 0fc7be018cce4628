"""What a predictor asks of a model: two calls, and a few facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

MASKS_PER_PASS = 4
"""Masks of one decoder pass: token 0 is the single mask, tokens 1 to 3 are the candidates."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Facts of a model that the predictor needs.

    Args:
        input_size: Side of the padded network input in pixels.
        mask_size: Side of mask logits and mask prompts.
        refinements: Passes after the first at inference.
        point_refinement: Prompt of the refining passes for a single click: ``'predicted_box'``, the box of its first
            mask, as published, or ``'keep'``, the click.
        mask_choice: Which mask answers: ``'best_candidate'`` of three by predicted IoU, as published;
            ``'segment_anything'``, that for a single click and the single mask for any other prompt; ``'single'``, the
            single mask. More passes than one end with the best candidate.
        key: Digest of the encoder weights, their precision and the preprocessing; equal keys give equal embeddings.
        class_names: Names of the classes of a prompted classifier; none for a model that gives masks alone.
    """

    input_size: int
    mask_size: int
    refinements: int
    point_refinement: str
    key: str
    mask_choice: str = 'best_candidate'
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """The masks of one decoder pass.

    Args:
        logits: Mask logits (N, 4, h, h), float32, over the padded network input.
        iou: Predicted IoU (N, 4), float32.
        class_scores: Probabilities (N, C), float32, of a prompted classifier, else None.
    """

    logits: np.ndarray
    iou: np.ndarray
    class_scores: np.ndarray | None = None


class Engine(Protocol):
    """Runs a model. All calls may be made from several threads at once.

    Attributes:
        info: Facts of the model.
        source: File of the weights.
        batch_size: Images that are best encoded at once.
    """

    info: ModelInfo
    source: Path
    batch_size: int

    def encode(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Encode images.

        Args:
            images: RGB images (h, w, 3), uint8, resized so that the longer side is ``info.input_size``.

        Returns:
            One embedding (C, h / patch, w / patch), float32, an image.
        """

    def prepare(self, embedding: np.ndarray) -> Any:
        """Return what :meth:`decode` takes in place of an embedding, to be used for several passes over an image."""

    def decode(
        self, embedding: Any, coords: np.ndarray, labels: np.ndarray, mask_logits: np.ndarray | None
    ) -> Decoded:
        """Decode prompts of N objects on one image, in one pass.

        Args:
            embedding: Embedding of the image, from :meth:`encode`, or what :meth:`prepare` made of it.
            coords: Prompt tokens (N, T, 2), float64, xy pixels of the resized image; the centre of the first pixel
                is (0, 0).
            labels: Kinds of the tokens (N, T), int64, as in segment-anything: 1 on the object, 0 off it, 2 and 3 the
                corners of a box, -1 padding beside clicks without a box.
            mask_logits: Mask logits (N, 1, h, h), float32, of an earlier pass, or None.
        """
