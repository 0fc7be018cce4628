"""What the classes of a model are called, and how likely each is."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ultrasam.checkpoints.describe import class_names_of_file, note_of
from ultrasam.errors import ConfigError
from ultrasam.models import ImageEmbedding
from ultrasam.openmmlab.models import PromptedClassifierDetector, UltraSamDetector

_logger = logging.getLogger(__name__)
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def class_names(
    model: UltraSamDetector, meta: Mapping[str, Any] | None, config: Mapping[str, Any] | None, source: str
) -> tuple[str, ...]:
    """Names of the classes of a model, in the order of its scores.

    They come from the data sets of the config, else from what the checkpoint says of its data, else they are numbers.

    Args:
        model: the detector, with its weights.
        meta: the ``meta`` entry of the checkpoint, if it has one.
        config: the whole config that the model was built from; None without one.
        source: where the model came from, for messages.

    Returns:
        One name a class; none for a model that gives masks alone.

    Raises:
        CheckpointError: a class head without weights.
        ConfigError: a config whose data have another number of classes.
    """
    if not isinstance(model, PromptedClassifierDetector):
        return ()
    model.bbox_head.check_trained()
    count = model.bbox_head.num_classes
    names = _names_of_config(config or {})
    if names and len(names) != count:
        raise ConfigError(
            f'{source}: model.bbox_head.num_classes is {count}, but its data have {len(names)} classes '
            f'({", ".join(names)}): set the number, or metainfo.classes of the data sets'
        )
    names = names or class_names_of_file(meta, note_of(meta, source), count)
    if not names:
        _logger.warning(
            '%s: names no classes: they are called by their number, from 0 to %d; give the config of the run to '
            'name them',
            source,
            count - 1,
        )
    return names or tuple(f'class {index}' for index in range(count))


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


def unpacked(model: UltraSamDetector, embedding: Tensor) -> Tensor | ImageEmbedding:
    """Undo :func:`packed` for a model.

    Raises:
        ConfigError: An embedding of another number of channels, such as that of a model without classes.
    """
    if not isinstance(model, PromptedClassifierDetector):
        return embedding
    channels, dims = model.backbone.out_channels, model.bbox_head.image_dims
    expected = channels + -(-dims // (embedding.shape[-2] * embedding.shape[-1]))
    if embedding.shape[1] != expected:
        raise ConfigError(
            f'an embedding of {embedding.shape[1]} channels, this model has {expected}: encode the image with the '
            'model that answers, and give it a folder of its own for embeddings'
        )
    return ImageEmbedding(embedding[:, :channels], embedding[:, channels:].flatten(1)[:, :dims])


def _names_of_config(config: Mapping[str, Any]) -> tuple[str, ...]:
    for loader in _LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        # a data set may be wrapped, to repeat it for one
        while isinstance(dataset, Mapping):
            names = (dataset.get('metainfo') or {}).get('classes')
            if isinstance(names, Sequence) and not isinstance(names, str) and names:
                return tuple(map(str, names))
            dataset = dataset.get('dataset')
    return ()
