"""A model, a run and checkpoints small enough to be attacked a thousand times."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module
from torch import nn

import ultrasam.openmmlab.hooks  # noqa: F401 (registers the hooks)
from tests.faults.harness import Arena, Verdict, lossy, quiet, survived
from ultrasam.errors import UltraSamError
from ultrasam.openmmlab.checkpoints.loader import safe_loading
from ultrasam.openmmlab.runner import UltraSamRunner


class TinyModel(BaseModel):
    """Two layers."""

    def __init__(self, width: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> Any:
        features = self.encoder(inputs)
        for layer in self.layers:
            features = layer(features).relu()
        return {'loss': features.square().mean()} if mode == 'loss' else features


def loaders(arena: Arena) -> AbstractContextManager[None]:
    """Let MMEngine read with our loader, or with its own."""
    return safe_loading() if arena.ours else nullcontext()


def make_runner(
    arena: Arena, *, model: nn.Module | None = None, iterations: int = 1, **options: Any
) -> Runner:
    """A runner of MMEngine with our hooks and reader, or with its own."""
    # It asks every compiler for its version, which takes a second.
    runner_module.collect_env = dict
    torch.manual_seed(0)
    frames = torch.utils.data.TensorDataset(torch.randn(8, 4))
    hook = {
        'type': 'VerifiedCheckpointHook' if arena.ours else 'CheckpointHook',
        'by_epoch': False,
        'interval': 1,
    }
    defaults: dict[str, Any] = {
        'custom_hooks': [{'type': 'StrictCheckpointHook'}] if arena.ours else [],
        'default_hooks': {'checkpoint': hook},
        'work_dir': str(arena.work / 'run'),
    }
    return (UltraSamRunner if arena.ours else Runner)(
        model=model or TinyModel(),
        train_dataloader=torch.utils.data.DataLoader(frames, batch_size=4),
        train_cfg={'by_epoch': False, 'max_iters': iterations},
        optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.01}},
        experiment_name=f'faults-{torch.randint(2**40, ()).item()}-{id(frames)}',
        log_level='ERROR',
        **{**defaults, **options},
    )


def stock_hook() -> dict[str, Any]:
    """The hook that writes checkpoints as MMEngine does."""
    return {'checkpoint': {'type': CheckpointHook, 'by_epoch': False, 'interval': 1}}


def same(found: Any, truth: Any) -> bool:
    """Whether two nested values are equal, tensors bit by bit."""
    if isinstance(truth, torch.Tensor):
        return isinstance(found, torch.Tensor) and found.dtype == truth.dtype and torch.equal(found, truth)
    if isinstance(truth, dict):
        return (
            isinstance(found, dict)
            and set(found) == set(truth)
            and all(same(found[k], truth[k]) for k in truth)
        )
    if isinstance(truth, list | tuple):
        return len(found) == len(truth) and all(same(x, y) for x, y in zip(found, truth, strict=True))
    return bool(found == truth)


def judge(arena: Arena, path: Path | str, open_it: Any, truth: Any = None) -> Verdict:
    """Open a faulty file: the right content or a refusal that names the file survives, anything else does not.

    A stock library survives with any error at all: it promises no more.
    """
    try:
        found = open_it()
    except UltraSamError as error:
        return survived(str(error)) if str(path) in str(error) else lossy(f'does not name the file: {error}')
    except Exception as error:
        note = f'{type(error).__name__}: {error}'
        return lossy(note) if arena.ours else survived(note)
    if truth is None:
        return quiet('was taken for good')
    return survived('right content') if same(found, truth) else quiet('wrong content')


def published(arena: Arena, path: Path, content: bytes) -> Path:
    """Write a file the way each stack does: ours with its sha256 beside it."""
    from ultrasam.checkpoints import publish_checkpoint

    if not arena.ours:
        path.write_bytes(content)
        return path
    with publish_checkpoint(path, overwrite=True) as temporary:
        temporary.write_bytes(content)
    return path
