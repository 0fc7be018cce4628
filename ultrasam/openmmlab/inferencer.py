"""The predictor for a detector that a config describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

import ultrasam.openmmlab.registry  # noqa: F401
from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of
from ultrasam.checkpoints.model_card import class_names_of_file, note_of, read_card
from ultrasam.errors import ConfigError
from ultrasam.openmmlab.model_cards import detector_config, note_of_model
from ultrasam.openmmlab.models import PromptedClassifierDetector, UltraSamDetector
from ultrasam.predict.engines import check_engine
from ultrasam.predict.engines.classes import names_or_numbers
from ultrasam.predict.engines.torch import TorchEngine, choose_device
from ultrasam.predict.predictor import Predictor
from ultrasam.predict.weights import shipped_checkpoint
from ultrasam.structures.frames import ObjectPrompt, Segmentation

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


class UltraSamInferencer(Predictor):
    """The predictor in PyTorch, under the name and with the arguments of an OpenMMLab inferencer.

    Args:
        weights: A checkpoint of UltraSam; None takes the small one that ships.
        model: Config to build the model from; None reads the architecture from the checkpoint.
        device: As for :class:`~ultrasam.predict.Predictor`.
        precision: Likewise.
        **options: Further arguments of :class:`~ultrasam.predict.Predictor`.

    Attributes:
        model: The detector.
        device: Its device.
        bfloat16: True if it runs in bfloat16.

    Raises:
        CheckpointError: Weights that are unsafe, damaged, or do not fit.
        ConfigError: A device that is not there, or a config whose data have another number of classes.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        model: str | Path | None = None,
        device: str | None = None,
        precision: str = 'auto',
        **options: Any,
    ) -> None:
        path = shipped_checkpoint() if weights is None else Path(weights)
        check_engine(path, engine='torch', device=device, precision=precision)
        chosen = choose_device(device)
        checkpoint = load_checkpoint_file(path)
        state_dict = state_dict_of(checkpoint, path)
        config = None if model is None else Config.fromfile(str(model))
        settings = (
            detector_config(read_card(state_dict, checkpoint.get('meta'), str(path)))
            if config is None
            else config.model
        )
        with DefaultScope.overwrite_default_scope('mmdet'):
            detector = MODELS.build(settings)
        if not isinstance(detector, UltraSamDetector):
            raise ConfigError(
                f'{model}: its model, {type(detector).__name__}, takes no prompts: give a config of UltraSam'
            )
        load_strict(detector, state_dict, source=str(path))
        names = class_names(detector, checkpoint.get('meta'), config, str(model or path))
        self.model: Any = detector.to(chosen).eval()
        # the preprocessor keeps a device of its own
        detector.data_preprocessor.to(chosen)
        engine = TorchEngine(
            detector.model,
            prepare=_preparation(detector),
            settings=note_of_model(detector),
            source=path,
            device=device,
            precision=precision,
            class_names=names,
            scores_of=detector.bbox_head.class_scores if names else None,
        )
        self.device = engine.device
        self.bfloat16 = engine.bfloat16
        super().__init__(engine=engine, **options)

    def predict(  # type: ignore[override]
        self, prompts: ObjectPrompt | Sequence[ObjectPrompt] | None = None, **prompt: Any
    ) -> Segmentation:
        """Segment objects of the image set before; :meth:`Predictor.predict` says what ``prompt`` may hold."""
        return super().predict(prompts=prompts, **prompt)


def _preparation(detector: Any) -> Callable[[Sequence[Tensor]], Tensor]:
    def prepare(images: Sequence[Tensor]) -> Tensor:
        # the data preprocessor of mmdet takes BGR
        data = detector.data_preprocessor(dict(inputs=[image.flip(0) for image in images]), False)
        return torch.as_tensor(data['inputs'])

    return prepare


def class_names(
    model: UltraSamDetector, meta: Mapping[str, Any] | None, config: Mapping[str, Any] | None, source: str
) -> tuple[str, ...]:
    """Return the names of the classes of a model, in the order of its scores.

    They come from the datasets of the config, else from what the checkpoint says of its data, else they are numbers.

    Args:
        model: The detector, with its weights.
        meta: The ``meta`` entry of the checkpoint, if it has one.
        config: The whole config that the model was built from; None without one.
        source: Where the model came from, for messages.

    Returns:
        One name a class; none for a model that gives masks alone.

    Raises:
        CheckpointError: A class head without weights.
        ConfigError: A config whose data have another number of classes.
    """
    if not isinstance(model, PromptedClassifierDetector):
        return ()
    model.bbox_head.check_trained()
    count = model.bbox_head.num_classes
    names = _names_of_config(config or {})
    if names and len(names) != count:
        raise ConfigError(
            f'{source}: model.bbox_head.num_classes is {count}, but its data have {len(names)} classes '
            f'({", ".join(names)}): set the number, or metainfo.classes of the datasets'
        )
    return names_or_numbers(names or class_names_of_file(meta, note_of(meta, source), count), count, source)


def _names_of_config(config: Mapping[str, Any]) -> tuple[str, ...]:
    for loader in _LOADERS:
        dataset = (config.get(loader) or {}).get('dataset')
        # a dataset may be wrapped, to repeat it for one
        while isinstance(dataset, Mapping):
            names = (dataset.get('metainfo') or {}).get('classes')
            if isinstance(names, Sequence) and not isinstance(names, str) and names:
                return tuple(map(str, names))
            dataset = dataset.get('dataset')
    return ()
