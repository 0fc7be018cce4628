"""A run small enough to be stopped in every way within a second, random in every way that a real one is."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

import ultrasam.openmmlab.registry  # noqa: F401
from ultrasam.openmmlab.datasets.replay import ReplayableBatchSampler, ReplayableSampler, ReplayedSamples
from ultrasam.openmmlab.runner import UltraSamRunner

FRAMES = 20


class Frames:
    """Samples whose pipeline draws from Python, numpy and torch."""

    metainfo: dict = {}  # noqa: RUF012

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, index: int) -> dict:
        return self.prepare_data(index)

    def get_data_info(self, index: int) -> dict:
        return dict(img_path=f'frame_{int(index):02d}.png', width=2 + index % 2, height=3 - index % 2)

    def prepare_data(self, index: int) -> dict:
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: S311
        sample = dict(img_path=self.get_data_info(index)['img_path'])
        return dict(inputs=torch.tensor([float(index), *drawn]), data_samples=sample)


class ReplayedFrames(ReplayedSamples, Frames):
    """The same, loaded under the seed of each draw."""

    def __init__(self, trouble: Callable[[int], Any] | None = None) -> None:
        super().__init__()
        self.trouble = trouble

    def prepare_data(self, index: int) -> dict:
        if self.trouble is not None:
            self.trouble(int(index))
        return super().prepare_data(index)


class RandomModel(BaseModel):
    """A layer with dropout and noise; its loss can be spoiled at chosen steps."""

    def __init__(self, bad_steps: tuple[int, ...] = (), bad: str = 'loss') -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.bad_steps = bad_steps
        self.bad = bad
        self.step = -1

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        x = torch.stack(list(inputs)) / FRAMES
        if mode != 'loss':
            return [dict(mean=float(torch.rand(())))]
        self.step += 1
        y = nn.functional.dropout(self.layer(x), 0.3) + torch.randn(3)
        loss = y.square().mean()
        if self.step in self.bad_steps:
            # the gradient of a square root at zero is infinite, and the loss is not
            loss = (
                loss * float('nan')
                if self.bad == 'loss'
                else loss + (self.layer.weight.sum() * 0).abs().sqrt()
            )
        return dict(loss=loss)


class Record(Hook):
    """Losses by step, and something to do after one."""

    def __init__(self, after_step: dict[int, Callable[[Runner], Any]] | None = None) -> None:
        self.losses: dict[int, float] = {}
        self.seen: list[str] = []
        self.after_step = after_step or {}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.losses[batch_idx] = float(outputs['loss'])
        self.seen += [sample['img_path'] for sample in data_batch['data_samples']]
        if batch_idx in self.after_step:
            self.after_step[batch_idx](runner)


class RandomMetric(BaseMetric):
    """A metric that uses up random numbers."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(random.random())  # noqa: S311

    def compute_metrics(self, results: list) -> dict[str, float]:
        return {'value': results[0]}


def collate(samples: list[dict]) -> dict:
    return {key: [sample[key] for sample in samples] for key in samples[0]}


def make_runner(
    work_dir: Path,
    record: Record,
    *,
    iterations: int = 12,
    workers: int = 0,
    frames: Frames | None = None,
    model: nn.Module | None = None,
    interval: int = 4,
    wrapper: dict | None = None,
    batch_size: int = 2,
    seed: int = 3,
    **options: Any,
) -> Runner:
    torch.manual_seed(0)
    dataset: Any = frames or ReplayedFrames()
    batches = ReplayableBatchSampler(ReplayableSampler(dataset, seed=seed), batch_size)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        timeout=2 if workers else 0,
        persistent_workers=workers > 0,
    )
    validation = torch.utils.data.DataLoader(Frames(), batch_size=4, collate_fn=collate)
    return UltraSamRunner(
        model=model or RandomModel(),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(type='SurvivingTrainLoop', max_iters=iterations, val_interval=3),
        val_dataloader=validation,
        val_cfg={},
        val_evaluator=Evaluator([RandomMetric()]),
        optim_wrapper=dict(
            type='FiniteOptimWrapper',
            optimizer=dict(type='AdamW', lr=0.05),
            clip_grad=dict(max_norm=1.0),
            **(wrapper or {}),
        ),
        default_hooks=dict(
            checkpoint=dict(
                type='VerifiedCheckpointHook', by_epoch=False, interval=interval, max_keep_ckpts=2
            )
        ),
        custom_hooks=[record],
        randomness=dict(seed=0),
        experiment_name=f'{work_dir.name}-{time.monotonic_ns()}',
        **options,
    )


def kill_worker_at(index: int) -> Callable[[int], None]:
    """Trouble: the worker that loads this sample is killed."""

    def trouble(found: int) -> None:
        if found == index:
            os.kill(os.getpid(), signal.SIGKILL)

    return trouble
