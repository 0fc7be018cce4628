"""Checkpoints, good and bad, made in the test run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module
from torch import nn

import ultrasam.openmmlab.hooks  # noqa: F401 (registers the hooks)
from ultrasam.openmmlab.checkpoints.loader import safe_loading
from ultrasam.openmmlab.runner import UltraSamRunner


class TinyModel(BaseModel):
    """Two layers, one of them optional."""

    def __init__(self, *, width: int = 3, refine: bool = True) -> None:
        super().__init__()
        self.encoder = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width)
        if refine:
            self.mask_downscaling = nn.Linear(width, width)
        else:
            self.checkpoint_allow_unexpected = (r'mask_downscaling\..*',)

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> Any:
        features = self.norm(self.encoder(inputs))
        return {'loss': features.square().mean()} if mode == 'loss' else features


RunnerFactory = Callable[..., Runner]


@pytest.fixture
def make_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunnerFactory:
    """Give a factory of real runners that read through the safe loader."""
    # It asks every compiler for its version, which takes a second a runner.
    monkeypatch.setattr(runner_module, 'collect_env', dict)

    def make(
        name: str = 'run',
        *,
        model: nn.Module | None = None,
        iterations: int = 2,
        kind: type[Runner] = UltraSamRunner,
        **options: Any,
    ) -> Runner:
        torch.manual_seed(0)
        frames = torch.randn(8, 2)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(frames), batch_size=4)
        defaults: dict[str, Any] = {
            'custom_hooks': [{'type': 'StrictCheckpointHook'}],
            'default_hooks': {'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False, 'interval': 1}},
        }
        return kind(
            model=TinyModel() if model is None else model,
            work_dir=str(tmp_path / name),
            train_dataloader=loader,
            train_cfg={'by_epoch': False, 'max_iters': iterations},
            optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.01}},
            param_scheduler=[{'type': 'MultiStepLR', 'milestones': [1], 'by_epoch': False}],
            experiment_name=f'{tmp_path.name}-{name}',
            log_level='INFO',
            **{**defaults, **options},
        )

    return make


@pytest.fixture
def safe() -> Iterator[None]:
    """Let MMEngine read through the safe loader outside a run."""
    with safe_loading():
        yield


@pytest.fixture
def training_checkpoint(make_runner: RunnerFactory, tmp_path: Path) -> Path:
    """Train two iterations and give the checkpoint that MMEngine wrote."""
    make_runner('first').train()
    return tmp_path / 'first' / 'iter_2.pth'


def write_archive(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None) -> Path:
    """Write a zip checkpoint around a pickle made by hand."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', pickled)
        archive.writestr('archive/version', '3\n')
        for key, data in (storages or {}).items():
            archive.writestr(f'archive/data/{key}', data)
    return path


def saved_bytes(content: Any, **options: Any) -> bytes:
    """Return what torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()
