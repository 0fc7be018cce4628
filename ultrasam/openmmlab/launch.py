"""What the commands that train and test do before a runner exists."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from torch import distributed

from ultrasam.errors import ConfigError
from ultrasam.openmmlab.config_checks import check_overrides, check_types

__all__ = [
    'DictAction',
    'distribute_on_cpu',
    'find_config',
    'load_run_config',
    'scale_learning_rate',
    'use_mixed_precision',
]

_TIMEOUT_S = 300
_SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def find_config(name: str) -> Path:
    """Find a config file; the suffix ``.py`` may be left out.

    Args:
        name: Path of the config, such as ``configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine``.

    Returns:
        The file.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(name)
    if path.suffix not in _SUFFIXES:
        path = path.with_name(f'{path.name}.py')
    if not path.is_file():
        raise ConfigError(
            f'{name}: no such config (looked for {path}). Give a path, as from the current folder.'
        )
    return path


def load_run_config(
    name: str,
    *,
    launcher: str = 'none',
    work_dir: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> Config:
    """Read a config and set what a command line decides.

    Args:
        name: Path of the config, with or without ``.py``.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        work_dir: Folder of logs and checkpoints. None keeps that of the config, or else ``work_dirs/NAME``.
        cfg_options: Dotted keys and their values, merged into the config.

    Returns:
        The config, ready for a runner.

    Raises:
        ConfigError: There is no such file, it is the config of another project, or an option would have no effect.
    """
    path = find_config(name)
    cfg = Config.fromfile(str(path))
    cfg.launcher = launcher
    if cfg_options:
        check_overrides(cfg, cfg_options)
        cfg.merge_from_dict(dict(cfg_options))
    check_types(cfg, str(path))
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / path.stem)
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        if loader and not loader.get('num_workers'):
            # torch refuses these options without workers
            loader.update(persistent_workers=False, timeout=0)
    if launcher == 'pytorch' and not torch.cuda.is_available():
        distribute_on_cpu(cfg)
    return cfg


def scale_learning_rate(cfg: Config) -> None:
    """Let MMEngine scale the learning rate to the batch size of this run.

    Args:
        cfg: The config of the run.

    Raises:
        ConfigError: The config does not say which batch size its learning rate is for.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise ConfigError(
            f'{cfg.filename}: cannot scale the learning rate; set auto_scale_lr=dict(base_batch_size=...) '
            'to the batch size that the rate was chosen for.'
        )
    cfg.auto_scale_lr.enable = True


def use_mixed_precision(cfg: Config) -> None:
    """Train with bfloat16, or with float16 on an accelerator that has no bfloat16.

    Args:
        cfg: The config of the run.
    """
    has_bfloat16 = not torch.cuda.is_available() or torch.cuda.is_bf16_supported()
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper' if has_bfloat16 else 'Float16OptimWrapper'


def distribute_on_cpu(cfg: Config) -> None:
    """Join the processes that torchrun started on a machine without a GPU.

    MMEngine would select a CUDA device and wrap the model for it; a process group that exists already, and a wrapper
    without device ids, make it leave both alone.

    Args:
        cfg: The config of the run; its model wrapper is set, unless it names one.

    Raises:
        ConfigError: The process was not started by torchrun.
    """
    if 'RANK' not in os.environ:
        raise ConfigError('--launcher pytorch needs processes started by torchrun: use tools/dist_train.sh.')
    if not distributed.is_initialized():
        timeout = (cfg.get('env_cfg', {}).get('dist_cfg') or {}).get('timeout', _TIMEOUT_S)
        distributed.init_process_group('gloo', timeout=timedelta(seconds=timeout))
    if cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
