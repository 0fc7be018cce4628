"""What the classes of a model are called, and its embeddings as one map."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ultrasam.errors import ConfigError
from ultrasam.models import ImageEmbedding, PromptedClassifier
from ultrasam.models.ultrasam import UltraSam

_logger = logging.getLogger(__name__)


def names_or_numbers(names: Sequence[str], count: int, source: str) -> tuple[str, ...]:
    """Return the names of ``count`` classes, or ``'class 0'`` and so on, with a warning, where there are none."""
    if count and not names:
        _logger.warning(
            '%s: names no classes: they are called by their number, from 0 to %d; give the config of the run to '
            'name them',
            source,
            count - 1,
        )
    return tuple(names) or tuple(f'class {index}' for index in range(count))


def packed(embedding: Tensor | ImageEmbedding) -> Tensor:
    """Join what a model keeps of images to one map (B, C', h, w), float32, as caches hold it.

    The mean tokens of a model with classes fill further channels row by row, then zeros.
    """
    if isinstance(embedding, Tensor):
        return embedding.float()
    features, mean = embedding.features.float(), embedding.token_mean.float()
    height, width = features.shape[-2:]
    padded = F.pad(mean, (0, -mean.shape[1] % (height * width)))
    return torch.cat([features, padded.unflatten(1, (-1, height, width))], 1)


def unpacked(model: UltraSam, embedding: Tensor) -> Tensor | ImageEmbedding:
    """Undo :func:`packed` for a model.

    Raises:
        ConfigError: An embedding of another number of channels, such as that of a model without classes.
    """
    if not isinstance(model, PromptedClassifier):
        return embedding
    channels, dims = model.image_encoder.out_channels, model.mask_decoder.image_dims
    expected = channels + -(-dims // (embedding.shape[-2] * embedding.shape[-1]))
    if embedding.shape[1] != expected:
        raise ConfigError(
            f'an embedding of {embedding.shape[1]} channels, this model has {expected}: encode the image with the '
            'model that answers, and give it a folder of its own for embeddings'
        )
    return ImageEmbedding(embedding[:, :channels], embedding[:, channels:].flatten(1)[:, :dims])
