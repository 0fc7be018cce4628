"""Parts of the runs that are attacked, by name, so that a config file can ask for them."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, FUNCTIONS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner

from tests.training.tiny import Frames, RandomMetric, RandomModel, ReplayedFrames, collate

STEPS = 'steps.jsonl'
"""File in the folder of a run with a line for every step that it took, also of one that was killed."""
HUNG_S = 600

FUNCTIONS.register_module(name='collate_frames', module=collate)
METRICS.register_module(module=RandomMetric)


def _trouble(what: str, at: int) -> Callable[[int], None]:
    def strike(index: int) -> None:
        if index != at:
            return
        if what == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if what == 'hang':
            time.sleep(HUNG_S)
        raise ValueError('no such\ncolour')

    return strike


@DATASETS.register_module()
class OurFrames(ReplayedFrames):
    """Frames under the seed of each draw; loading one of them may kill, hang or fail."""

    def __init__(self, what: str = '', at: int = -1) -> None:
        super().__init__(_trouble(what, at))


@DATASETS.register_module()
class StockFrames(Frames):
    """The same, as data sets commonly are: each draws from the generators of the process that loads it."""

    def __init__(self, what: str = '', at: int = -1) -> None:
        self.trouble = _trouble(what, at)

    def prepare_data(self, index: int) -> dict:
        self.trouble(int(index))
        return super().prepare_data(index)


@MODELS.register_module()
class AttackedModel(RandomModel):
    """A layer whose steps take time, whose checkpoint has a size, and whose loss or gradient may be spoiled.

    Args:
        bad_steps: steps to spoil.
        bad: ``nan``, ``inf`` or ``gradient``.
        bad_rank: the process to spoil; None means all.
        pace_s: seconds that a step takes at least.
        ballast_mb: size of its checkpoint.
    """

    def __init__(
        self,
        bad_steps: Sequence[int] = (),
        bad: str = 'nan',
        bad_rank: int | None = None,
        pace_s: float = 0.0,
        ballast_mb: int = 0,
    ) -> None:
        mine = bad_rank is None or bad_rank == get_rank()
        super().__init__(tuple(bad_steps) if mine else (), 'gradient' if bad == 'gradient' else 'loss')
        self.pace_s = pace_s
        self.is_infinite = bad == 'inf'
        self.register_buffer('ballast', torch.zeros(ballast_mb << 18))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        if mode == 'loss':
            time.sleep(self.pace_s)
        found = super().forward(inputs, data_samples, mode)
        if mode == 'loss' and self.is_infinite and self.step in self.bad_steps:
            found['loss'] = torch.nan_to_num(found['loss'].detach()) + self.layer.weight.sum().exp() / 0.0
        return found


@MODELS.register_module()
class PixelModel(RandomModel):
    """The same layer on the mean values of pictures."""

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> Any:
        return super().forward([_four_numbers(one) for one in inputs], data_samples, mode)


def _four_numbers(one: torch.Tensor) -> torch.Tensor:
    """Of a picture (3, H, W): mean of each colour, and deviation."""
    return one if one.ndim == 1 else torch.cat([one.float().mean((1, 2)), one.float().std()[None]])


@HOOKS.register_module()
class StepLog(Hook):
    """Notes every step at once: process, rank, step, loss, and the inputs by name and by digest.

    Args:
        strikes: what is done after a step, as ``(step, rank, what, more)``; see :func:`_strike`.
    """

    def __init__(self, strikes: Sequence[tuple[int, int, str, Any]] = ()) -> None:
        self.strikes = [tuple(strike) for strike in strikes]

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        rank = get_rank()
        inputs = b''.join(one.numpy().tobytes() for one in data_batch['inputs'])
        names = [Path(sample.get('img_path', '')).name for sample in data_batch['data_samples']]
        line = [
            os.getpid(), rank, runner.iter, float(outputs['loss']).hex(), names,
            hashlib.sha256(inputs).hexdigest()[:16], _weights(runner.model),
        ]  # fmt: skip
        with open(Path(runner.work_dir) / STEPS, 'a', encoding='utf-8') as file:
            file.write(json.dumps(line) + '\n')
        for step, of_rank, what, more in self.strikes:
            if step == runner.iter and of_rank == rank:
                _strike(what, more, Path(runner.work_dir))


def _weights(model: Any) -> str:
    """Digest of what is trained."""
    layer = getattr(model, 'module', model).layer
    return hashlib.sha256(b''.join(p.detach().numpy().tobytes() for p in layer.parameters())).hexdigest()[:16]


def _strike(what: str, more: Any, folder: Path) -> None:
    once = folder / f'{what}.struck'
    if once.exists():
        return
    once.touch()
    if what == 'signal':
        os.kill(os.getpid(), more)
    elif what == 'raise':
        raise ValueError(more)
    elif what == 'file size':
        resource.setrlimit(resource.RLIMIT_FSIZE, (more, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    elif what == 'remove':
        Path(more).unlink()
    elif what == 'replace':
        shutil.copyfile(more[0], more[1])
    elif what == 'cut':
        os.truncate(more, Path(more).stat().st_size // 2)
