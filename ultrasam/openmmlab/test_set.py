"""The test set of a config: its frames as its own pipeline gives them, and its own evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from torch import Tensor, nn

import ultrasam.openmmlab.registry  # noqa: F401
from ultrasam.coco.records import FileContent, open_records
from ultrasam.errors import AnnotationError, ConfigError, UltraSamError
from ultrasam.evaluation.evaluate import DataPlaces
from ultrasam.openmmlab.inferencer import UltraSamInferencer
from ultrasam.openmmlab.launch import load_run_config
from ultrasam.predict import EncodedImage
from ultrasam.predict.geometry import ImageGeometry


class ConfiguredTestSet:
    """The test part of a config.

    Args:
        config: its file.
        data: what replaces the places that it states.

    Raises:
        AnnotationError: the annotation file or an image is missing, or a record cannot be used.
        ConfigError: no such config, or one without a test set of COCO form.
    """

    def __init__(self, config: str | Path, data: DataPlaces | None = None) -> None:
        data = data or DataPlaces()
        self.cfg = load_run_config(str(config))
        settings = _dataset_settings(self.cfg)
        is_moved = _move(settings, data)
        if data.limit is not None:
            if data.limit < 1:
                raise ConfigError(f'a limit of {data.limit} images: give 1 or more')
            settings.indices = data.limit
        is_foreign = is_moved and _take_as_one_class(settings)
        self._evaluator_settings = _evaluator_settings(self.cfg)
        for metric in self._evaluator_settings:
            if metric.get('ann_file') is not None and (is_moved or data.limit is not None):
                # a part of the file, or one of other categories, is compared with what comes with the frames
                metric.ann_file = None if is_foreign or data.limit is not None else str(_ann_file(settings))
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.dataset = DATASETS.build(settings)

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def ann_file(self) -> Path:
        """The annotation file."""
        return Path(self.dataset.ann_file)

    def evaluator(self) -> Evaluator:
        """The evaluator of the config, ready for :meth:`encoded`.

        Raises:
            ConfigError: the config has none.
        """
        if not self._evaluator_settings:
            raise ConfigError(
                f'{self.cfg.filename}: has no test_evaluator: add one, or leave out the protocol published'
            )
        with DefaultScope.overwrite_default_scope('mmdet'):
            evaluator = Evaluator(self._evaluator_settings)
        evaluator.dataset_meta = self.dataset.metainfo
        return evaluator

    def encoded(
        self, inferencer: UltraSamInferencer, evaluator: Evaluator | None
    ) -> Iterator[tuple[int | str, EncodedImage]]:
        """Image id and embedding of each frame; each is encoded once.

        Args:
            inferencer: the model.
            evaluator: given the model's own predictions for the prompts of the test pipeline; None makes none.

        Raises:
            AnnotationError: an image that cannot be read.
        """
        for index in range(len(self.dataset)):
            yield self._encode(index, inferencer, evaluator)

    @torch.no_grad()
    def _encode(
        self, index: int, inferencer: UltraSamInferencer, evaluator: Evaluator | None
    ) -> tuple[int | str, EncodedImage]:
        model = inferencer.model
        data = model.data_preprocessor(pseudo_collate([self._item(index)]), False)
        (sample,) = data['data_samples']
        with (
            torch.autocast(inferencer.device.type, torch.bfloat16, enabled=inferencer.bfloat16),
            _Listener(model.backbone) as listener,
        ):
            if evaluator is None:
                model.extract_feat(data['inputs'])
            else:
                answered = model.predict(data['inputs'], data['data_samples'])
        if evaluator is not None:
            evaluator.process(data_samples=answered, data_batch=data)
        geometry = ImageGeometry(
            sample.ori_shape[:2], sample.img_shape[:2], inferencer.engine.info.input_size
        )
        return sample.img_id, EncodedImage(listener.heard()[0].float().cpu().numpy(), geometry)

    def _item(self, index: int) -> dict[str, Any]:
        name = self.dataset.get_data_info(index)['img_path']
        try:
            item: dict[str, Any] = self.dataset[index]
        except UltraSamError:
            raise
        except Exception as error:  # decoders fail in ways that they do not list
            said = ' '.join(str(error).split())[-200:] or type(error).__name__
            raise AnnotationError(
                f'{name}: cannot be prepared for the model ({said}): restore the image'
            ) from error
        return item


class _Listener:
    """Hears what a module returns, so that a prediction yields its embedding as well."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._output: Tensor | None = None

    def __enter__(self) -> _Listener:
        self._handle = self._module.register_forward_hook(self._keep)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._handle.remove()

    def _keep(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._output = output

    def heard(self) -> Tensor:
        """The embedding (1, C, h, w)."""
        if self._output is None:
            raise ConfigError(
                f'{type(self._module).__name__} was not asked: it is no image encoder of UltraSam'
            )
        return self._output


def _dataset_settings(cfg: Config) -> ConfigDict:
    loader = cfg.get('test_dataloader')
    settings = None if loader is None else loader.get('dataset')
    if settings is None:
        raise ConfigError(
            f'{cfg.filename}: has no test set (test_dataloader.dataset): give a config that tests'
        )
    if 'ann_file' not in settings:
        raise ConfigError(
            f'{cfg.filename}: its test set, {settings.get("type")}, states no ann_file: give a config with one COCO '
            'file to test on'
        )
    return settings


def _evaluator_settings(cfg: Config) -> list[ConfigDict]:
    settings = cfg.get('test_evaluator') or []
    return [settings] if isinstance(settings, dict) else list(settings)


def _move(settings: ConfigDict, data: DataPlaces) -> bool:
    """Replace the places of a test set; whether there was anything to replace."""
    if data.data_root is not None:
        settings.data_root = str(data.data_root)
    for key, path in (('ann_file', data.ann_file), ('img_prefix', data.img_prefix)):
        if path is None:
            continue
        place = str(path if data.data_root is not None else path.resolve())
        if key == 'ann_file':
            settings.ann_file = place
        else:
            settings.data_prefix = dict(img=place)
    return any(place is not None for place in (data.data_root, data.ann_file, data.img_prefix))


def _ann_file(settings: ConfigDict) -> Path:
    return Path(settings.get('data_root') or '', settings.ann_file)


def _take_as_one_class(settings: ConfigDict) -> bool:
    """Take objects of any category as the one class of the config; whether that was needed."""
    classes = list((settings.get('metainfo') or {}).get('classes', ('object',)))
    path = _ann_file(settings)
    if len(classes) != 1 or not path.is_file():
        return False
    names = [category['name'] for category in open_records(FileContent(path)).index.categories]
    if names == classes:
        return False
    settings.class_agnostic = True
    return True
