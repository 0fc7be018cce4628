"""The plain model that a card describes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ultrasam.checkpoints.model_card import ModelCard
from ultrasam.models import (
    ClassifyingMaskDecoder,
    MaskDecoder,
    PromptedClassifier,
    SamImageEncoder,
    SamPromptEncoder,
    SamTwoWayTransformer,
)
from ultrasam.models.preprocessing import Preprocessing
from ultrasam.models.ultrasam import UltraSam


def build_model(card: ModelCard) -> UltraSam:
    """Return the model, with random weights, for inference."""
    transformer = SamTwoWayTransformer(mlp_skip=card.mlp_skip)
    options: dict[str, Any] = dict(
        image_encoder=SamImageEncoder(**card.encoder_options()),
        prompt_encoder=SamPromptEncoder(
            img_size=card.img_size,
            patch_size=card.patch_size,
            mask_prompts=card.refines,
            box_mask=card.box_mask,
        ),
        refinements=int(card.refines) if card.inference_refinements is None else card.inference_refinements,
        point_refinement=card.point_refinement,
    )
    if not card.num_classes:
        return UltraSam(mask_decoder=MaskDecoder(transformer), **options)
    decoder = ClassifyingMaskDecoder(
        transformer, num_classes=card.num_classes, image_dims=card.arch['embed_dims']
    )
    return PromptedClassifier(mask_decoder=decoder, **options)


def build_preprocessing(card: ModelCard) -> Preprocessing:
    """Return what prepares images for the model."""
    return Preprocessing(card.preprocessing, card.pixel_mean, card.pixel_std, card.img_size)


def class_scores(class_logits: Tensor, activation: str) -> Tensor:
    """Return the probabilities of class logits (M, C): float32, same shape; ``activation`` as on the card."""
    logits = class_logits.float()
    return logits.sigmoid() if activation == 'sigmoid' else logits.softmax(1)
