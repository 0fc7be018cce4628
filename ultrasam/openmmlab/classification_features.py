"""Features of a frozen encoder: one vector an image, for every list that a classification config names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from torch import nn

from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of
from ultrasam.errors import ConfigError
from ultrasam.evaluation.classification_probes import FeatureTable
from ultrasam.openmmlab.checkpoints.loader import safe_loading
from ultrasam.openmmlab.launch import load_run_config

PARTS = ('train', 'val', 'test')
Track = Callable[[Iterable[Any]], Iterable[Any]]


def features_of_config(
    config: str | Path,
    *,
    checkpoint: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    device: str | None = None,
    batch_size: int = 8,
    parts: Sequence[str] = PARTS,
    track: Track = iter,
) -> tuple[dict[str, FeatureTable], tuple[str, ...]]:
    """Encode the images of a config, each as the test pipeline has it.

    Args:
        config: of a classifier.
        checkpoint: a trained classifier; None takes the encoder that the config starts from.
        cfg_options: settings to override.
        device: of the encoder; None takes the best there is.
        batch_size: images encoded at once.
        parts: some of ``'train'``, ``'val'`` and ``'test'``.
        track: shows progress over batches.

    Returns:
        The table of each part, and the names of the classes.

    Raises:
        AnnotationError: a list cannot be used.
        CheckpointError: weights are missing or do not fit.
        ConfigError: no config of a classifier, or one without weights to start from.
    """
    cfg = load_run_config(str(config), cfg_options=cfg_options)
    if 'head' not in cfg.model or cfg.get('train_dataloader') is None:
        raise ConfigError(f'{config}: is no config of a classifier: use one of downstream/classification')
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    model = _frozen(cfg, checkpoint).to(device or get_device())
    tables: dict[str, FeatureTable] = {}
    classes: tuple[str, ...] = ()
    for part in parts:
        loader = Runner.build_dataloader(_loader_config(cfg, part, batch_size))
        classes = tuple(loader.dataset.metainfo['classes'])
        tables[part] = _encode(model, track(loader))
    return tables, classes


def _frozen(cfg: Config, checkpoint: str | Path | None) -> Any:
    model: Any = MODELS.build(deepcopy(cfg.model))
    backbone = cfg.model.backbone
    if checkpoint is not None:
        load_strict(model, state_dict_of(load_checkpoint_file(checkpoint), checkpoint), source=checkpoint)
    elif (backbone.get('init_cfg') or {}).get('type') == 'Pretrained':
        with safe_loading():
            model.backbone.init_weights()
    else:
        raise ConfigError(
            f'{cfg.filename}: its encoder {backbone.type} has no weights of its own to start from; give a checkpoint '
            'of the trained classifier'
        )
    return model.eval()


def _loader_config(cfg: Config, part: str, batch_size: int) -> dict[str, Any]:
    dataset = deepcopy(cfg[f'{part}_dataloader'].dataset)
    dataset.pipeline = deepcopy(cfg.test_dataloader.dataset.pipeline)
    # of a probe every image counts once, and in the order of the list
    return dict(
        batch_size=batch_size,
        num_workers=cfg.test_dataloader.num_workers,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dataset,
    )


@torch.inference_mode()
def _encode(model: nn.Module, batches: Iterable[Any]) -> FeatureTable:
    wrapped: Any = model
    features, labels, names = [], [], []
    for batch in batches:
        data = wrapped.data_preprocessor(batch, False)
        features.append(wrapped.extract_feat(data['inputs'])[-1].float().cpu().numpy())
        for sample in data['data_samples']:
            if 'gt_label' not in sample or sample.gt_label.numel() != 1:
                raise ConfigError(f'{sample.img_path}: a probe takes images of one class each')
            labels.append(int(sample.gt_label))
            names.append(str(sample.img_path))
    return FeatureTable(np.concatenate(features), np.array(labels), tuple(names))
