"""What the classes of a model are called, and how likely each is."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from ultrasam.checkpoints.describe import class_names_of_file, note_of
from ultrasam.errors import ConfigError
from ultrasam.models import PromptedClassifier, UltraSam

_logger = logging.getLogger(__name__)
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def class_names(
    model: UltraSam, meta: Mapping[str, Any] | None, config: Mapping[str, Any] | None, source: str
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
    if not isinstance(model, PromptedClassifier):
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


@contextlib.contextmanager
def noting_scores(model: UltraSam) -> Iterator[Callable[[], Tensor | None]]:
    """Note the classes of the prompts that are decoded meanwhile.

    Yields:
        Call it for the probabilities (M, C), float32, after the last pass; None of a model without classes.
    """
    if not isinstance(model, PromptedClassifier):
        yield lambda: None
        return
    with model.noting_classes() as passes:
        yield lambda: model.bbox_head.class_scores(passes[-1])


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
