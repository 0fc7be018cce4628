"""From a card, or a file, to its plain model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ultrasam.checkpoints.model_card import ModelCard, read_card
from ultrasam.checkpoints.reader import load_checkpoint_file
from ultrasam.checkpoints.state_dicts import load_strict, state_dict_of
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


class LoadedModel(NamedTuple):
    """A checkpoint of a promptable model.

    Args:
        card: What it is.
        weights: Its tensors under UltraSam's names, as stored.
        model: The model with these weights, on the CPU.
    """

    card: ModelCard
    weights: Mapping[str, Tensor]
    model: UltraSam


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


def load_model(path: Path) -> LoadedModel:
    """Read a checkpoint and build what its card says.

    Raises:
        CheckpointError: It is missing, unsafe, damaged, or not a promptable UltraSam model.
    """
    checkpoint = load_checkpoint_file(path)
    weights = state_dict_of(checkpoint, path)
    card = read_card(weights, checkpoint.get('meta'), str(path))
    model = build_model(card)
    load_strict(model, weights, source=str(path))
    return LoadedModel(card, weights, model)


def build_preprocessing(card: ModelCard) -> Preprocessing:
    """Return what prepares images for the model."""
    return Preprocessing(card.preprocessing, card.pixel_mean, card.pixel_std, card.img_size)
