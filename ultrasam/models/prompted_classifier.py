"""Prompted classification: a mask for each prompt, and the class of the object that it points at."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ultrasam.models.layers import Mlp
from ultrasam.models.mask_decoder import Decoded, MaskDecoder
from ultrasam.models.ultrasam import Answer, UltraSam
from ultrasam.structures.prompts import NUM_OUTPUT_TOKENS


class ImageEmbedding(NamedTuple):
    """What a model with classes keeps of B images.

    Args:
        features: (B, C, h, w), float, the embedding that masks are decoded from.
        token_mean: (B, D), float, mean of the encoder's last tokens, which the neck does not keep.
    """

    features: Tensor
    token_mean: Tensor


class ClassifyingMaskDecoder(MaskDecoder):
    """The mask decoder with class scores for each prompt.

    Args:
        *mask_decoder: Positional arguments of :class:`MaskDecoder`.
        num_classes: Number of classes.
        image_dims: Width of the encoder's tokens.
        embed_dims: Width of the decoder.
        iou_head_dims: Hidden width of the IoU head, and of the class head.
    """

    def __init__(
        self,
        *mask_decoder: Any,
        num_classes: int,
        image_dims: int = 768,
        embed_dims: int = 256,
        iou_head_dims: int = 256,
    ) -> None:
        super().__init__(*mask_decoder, embed_dims=embed_dims, iou_head_dims=iou_head_dims)
        self.num_classes = num_classes
        self.image_dims = image_dims
        self.cls_prediction_head = Mlp(2 * embed_dims + image_dims, iou_head_dims, num_classes)

    def classify(self, decoded: Decoded, token_mean: Tensor) -> Tensor:
        """Return class logits (M, num_classes).

        The class is read off the single-mask token and the mean of the image, both as the decoder left them for this
        prompt, and the mean of the encoder's tokens, the same for all prompts of an image.

        Args:
            decoded: What :meth:`forward` returned for M prompts.
            token_mean: (M, image_dims), float.
        """
        of_prompt = torch.cat([decoded.tokens[:, -NUM_OUTPUT_TOKENS], decoded.image.mean((2, 3))], 1)
        return self.cls_prediction_head(torch.cat([of_prompt, token_mean], 1))


class PromptedClassifier(UltraSam):
    """UltraSam that also tells the class of each object; its mask decoder is a :class:`ClassifyingMaskDecoder`."""

    def encode(self, images: Tensor) -> ImageEmbedding:
        """Return the embedding of normalised, padded images (B, 3, S, S)."""
        features, tokens = self.image_encoder.forward_with_tokens(images)
        return ImageEmbedding(features, tokens.float().mean((2, 3)))

    def features(self, embedding: ImageEmbedding) -> Tensor:
        """Return the map (B, C, h, w) of an embedding."""
        return embedding.features

    def answer(self, decoded: Decoded, embedding: ImageEmbedding, image_index: Tensor) -> Answer:
        """Return masks and class logits, see :meth:`UltraSam.answer`."""
        class_logits = self.mask_decoder.classify(decoded, embedding.token_mean[image_index])
        return Answer(decoded.logits, decoded.iou, class_logits)


def class_probabilities(class_logits: Tensor, activation: str) -> Tensor:
    """Return the probabilities of class logits (M, C): float32, same shape.

    Args:
        class_logits: The logits.
        activation: ``'sigmoid'``, each class by itself; ``'softmax'``, classes that exclude each other.
    """
    logits = class_logits.float()
    return logits.sigmoid() if activation == 'sigmoid' else logits.softmax(1)
