"""Training runs as commands: a config, the command in a fork that has all imported, and what is left in its folder.

Ours are started through ``tools/train.py``; those of the stock stack have the same model, data and schedule and the
classes and the checkpoint settings (one is kept, without the optimizer) of the published implementation.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import runpy
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner, find_latest_checkpoint
from mmengine.runner import runner as runner_module
from torch import distributed

import ultrasam.openmmlab.registry  # noqa: F401 (registers what the configs name)
from tests.faults import training_parts
from tests.faults.harness import CRASHED, Arena, Verdict, lossy, patience
from tests.faults.injected import sitecustomize as injected
from ultrasam.checkpoints import load_checkpoint_file
from ultrasam.openmmlab.checkpoints.resume import find_resume_point
from ultrasam.openmmlab.launch import distribute_on_cpu

ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 30
_DIE_WITH_PARENT = 1
REFUSED, OUTPUT, TRAINING = 1, 5, 6
_CRASHES = tuple(128 + number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE))


@dataclass(frozen=True)
class Run:
    """A training run.

    Args:
        arena: says which stack.
        name: of its folder.
        iterations: to train.
        interval: of checkpoints.
        keep: checkpoints to keep; None keeps two of ours, and one of the stock stack, as published.
        workers: that load data.
        resume: go on where it stopped.
        seed: of everything.
        timeout_s: of a data worker.
        ranks: processes.
        restarts: of all of them, by torchrun.
        distributed_timeout_s: until a silent process ends the others; None leaves the default.
        model: arguments of the model.
        data: arguments of the data set.
        strikes: see :class:`tests.faults.training_parts.StepLog`.
        order: of the injector, see :mod:`tests.faults.injected.sitecustomize`.
        settings: further entries of the config.
        options: further ones of the command line; of ours only.
    """

    arena: Arena
    name: str
    iterations: int = 12
    interval: int = 4
    keep: int | None = None
    workers: int = 0
    resume: bool = False
    seed: int = 3
    timeout_s: int = 4
    ranks: int = 1
    restarts: int = 0
    distributed_timeout_s: int | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    strikes: tuple[tuple[int, int, str, Any], ...] = ()
    order: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.arena.work / self.name

    @property
    def log(self) -> Path:
        return self.arena.work / f'{self.name}.log'

    def resumed(self, **changes: Any) -> Run:
        """The same, going on, with nothing that disturbs it."""
        return replace(self, **{'resume': True, 'order': None, **changes})

    def settings_of_all(self) -> dict[str, Any]:
        """The config, as far as both stacks share it."""
        loader = dict(num_workers=self.workers, persistent_workers=self.workers > 0)
        return dict(
            custom_imports=dict(imports=['ultrasam.openmmlab.registry', 'tests.faults.training_parts']),
            default_scope='mmdet',
            model=dict(type='AttackedModel', **self.model),
            train_dataloader=dict(batch_size=2, collate_fn=dict(type='collate_frames'), **loader),
            val_dataloader=dict(
                batch_size=4,
                num_workers=0,
                collate_fn=dict(type='collate_frames'),
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='StockFrames'),
            ),
            val_evaluator=dict(type='RandomMetric'),
            val_cfg=dict(type='ValLoop'),
            param_scheduler=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20)],
            randomness=dict(seed=self.seed),
            custom_hooks=[dict(type='StepLog', strikes=self.strikes)],
            work_dir=str(self.folder),
        )

    def config(self) -> dict[str, Any]:
        """All of the config."""
        settings = self.settings_of_all()
        loop = dict(max_iters=self.iterations, val_interval=3)
        wrapper = dict(optimizer=dict(type='AdamW', lr=0.05), clip_grad=dict(max_norm=1.0))
        saved = dict(by_epoch=False, interval=self.interval)
        if self.arena.ours:
            settings['train_cfg'] = dict(type='SurvivingTrainLoop', **loop)
            settings['optim_wrapper'] = dict(type='FiniteOptimWrapper', **wrapper)
            settings['train_dataloader'].update(
                sampler=dict(type='ReplayableSampler'),
                batch_sampler=dict(type='ReplayableBatchSampler'),
                dataset=dict(type='OurFrames', **self.data),
                timeout=self.timeout_s,
            )
            saved.update(type='VerifiedCheckpointHook', max_keep_ckpts=self.keep or 2)
            settings['custom_hooks'].append(dict(type='StrictCheckpointHook'))
        else:
            settings['train_cfg'] = dict(type='IterBasedTrainLoop', **loop)
            settings['optim_wrapper'] = dict(type='OptimWrapper', **wrapper)
            settings['train_dataloader'].update(
                sampler=dict(type='InfiniteSampler'), dataset=dict(type='StockFrames', **self.data)
            )
            saved.update(type='CheckpointHook', max_keep_ckpts=self.keep or 1, save_optimizer=False)
        settings['default_hooks'] = dict(checkpoint=saved)
        if self.distributed_timeout_s is not None:
            settings['env_cfg'] = dict(dist_cfg=dict(backend='gloo', timeout=self.distributed_timeout_s))
        return {**settings, **self.settings}

    def write(self) -> Path:
        """Write the config."""
        path = self.arena.work / f'{self.name}.py'
        lines = [f'{name} = {value!r}\n' for name, value in self.config().items()]
        path.write_text(''.join(lines), encoding='utf-8')
        return path


@dataclass(frozen=True)
class Done:
    """A run that has ended; ``code`` is that of a shell, 128 + the signal, and None if it had to be ended."""

    code: int | None
    text: str
    seconds: float

    @property
    def tail(self) -> str:
        return f'exit {self.code}: {self.text[-220:]}'


class Started:
    """A run under way, in a process group of its own; ``pid`` is the process, or the one that starts its ranks."""

    def __init__(self, run: Run, pid: int) -> None:
        self.run = run
        self.pid = pid
        self.begun = time.monotonic()
        self._status: int | None = None

    def ended(self) -> bool:
        """Whether it has ended; asks the system once."""
        if self._status is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if found else None
        return self._status is not None

    def send(self, number: int, *, to_all: bool = False) -> None:
        """Send a signal to the process, or to its workers as well."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number) if to_all else os.kill(self.pid, number)

    def await_steps(self, count: int) -> bool:
        """Wait until so many steps are taken; False if it ended before."""
        return self.wait_for(lambda: len(steps(self.run)) >= count)

    def wait_for(self, condition: Callable[[], bool], limit_s: float = _LIMIT_S) -> bool:
        """Wait for something to happen; False if the run ended before, or it takes too long."""
        until = time.monotonic() + limit_s * patience()
        while time.monotonic() < until:
            if condition():
                return True
            if self.ended():
                return condition()
            time.sleep(0.003)
        return False

    def finish(self, limit_s: float = _LIMIT_S) -> Done:
        """Wait for its end, and end what is left of it."""
        ended = self.wait_for(self.ended, limit_s)
        seconds = time.monotonic() - self.begun
        self.send(signal.SIGKILL, to_all=True)
        code: int | None = None
        if ended and self._status is not None:
            code = os.waitstatus_to_exitcode(self._status)
            code = code if code >= 0 else 128 - code
        else:
            os.waitpid(self.pid, 0)
        text = self.run.log.read_text(encoding='utf-8', errors='replace') if self.run.log.exists() else ''
        return Done(code, text, seconds)


def start(run: Run) -> Started:
    """Start a run in a fork, which need not import anything again."""
    run.write()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Started(run, pid)
    code = 1
    try:
        os.setpgid(0, 0)
        _die_with(parent)
        # a process that was started in the background ignores it, and its children with it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        if run.ranks == 1:
            _train(run)
        else:
            _distribute(run)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with(parent: int) -> None:
    """A trial that overruns its budget is killed; its runs go with it."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _train(run: Run) -> None:
    """In the process of the run: train as the command of its stack does."""
    sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115 (until the process ends)
    sys.stderr = open(2, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
    # it asks every compiler for its version, which takes a second
    runner_module.collect_env = dict
    if run.order is not None:
        injected._install({'root': str(run.folder), **run.order})
    config = run.arena.work / f'{run.name}.py'
    is_distributed = 'RANK' in os.environ
    if run.arena.ours:
        launcher = ('--launcher', 'pytorch') if is_distributed else ()
        resume = ('--resume',) if run.resume else ()
        sys.argv = ['train.py', str(config), *launcher, *resume, *run.options]
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
        return
    cfg = Config.fromfile(str(config))
    cfg.resume = run.resume
    if is_distributed:
        # MMEngine would look for a GPU; the time limit stays that of torch
        distributed.init_process_group('gloo')
        cfg.launcher = 'pytorch'
        distribute_on_cpu(cfg)
    Runner.from_cfg(cfg).train()


def _distribute(run: Run) -> None:
    """What torchrun does, but for functions, which need not import anything again."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=run.ranks,
        run_id=run.name,
        # that of torchrun --standalone: a fixed port may still belong to what was killed
        rdzv_backend='c10d',
        rdzv_endpoint='localhost:0',
        rdzv_configs={'timeout': 60},
        max_restarts=run.restarts,
        start_method='fork',
        monitor_interval=0.1,
    )
    elastic_launch(settings, _train)(run)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def finished(run: Run, limit_s: float = _LIMIT_S) -> Done:
    """Run to the end."""
    return start(run).finish(limit_s)


def undisturbed(run: Run) -> Run:
    """Run to the end, once, before the trials; raises RuntimeError if it does not get there."""
    done = finished(run)
    if done.code != 0 or len(steps(run)) != run.iterations * run.ranks:
        raise RuntimeError(f'the undisturbed run failed: {done.tail}')
    return run


@dataclass(frozen=True)
class Step:
    """A line of the log of steps."""

    pid: int
    rank: int
    step: int
    loss: str
    names: tuple[str, ...]
    inputs: str
    weights: str


def steps(run: Run) -> list[Step]:
    """The steps that a run took; those before a kill and the same steps again after it."""
    path = run.folder / training_parts.STEPS
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True) if path.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith('\n')]
    return [Step(*line[:4], tuple(line[4]), *line[5:]) for line in whole]


def history(run: Run) -> dict[tuple[int, int], set[tuple[str, str]]]:
    """Losses and weights by rank and step: one of each where a step that was taken again came out the same."""
    found: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for step in steps(run):
        found.setdefault((step.rank, step.step), set()).add((step.loss, step.weights))
    return found


def resume_point(run: Run) -> tuple[Path | None, int]:
    """The checkpoint that the run would go on from by itself, opened and found whole, and the steps in it."""
    if run.arena.ours:
        path = find_resume_point([run.folder]).path
        content = None if path is None else load_checkpoint_file(path)
    else:
        named = find_latest_checkpoint(str(run.folder))
        path = None if named is None else Path(named)
        with contextlib.suppress(Exception):
            content = torch.load(path, map_location='cpu', weights_only=False)
            return path, int(content['meta']['iter'])
        return None, 0
    return path, 0 if content is None else int(content['meta']['iter'])


def left_over(run: Run) -> list[str]:
    """Temporary files in the folder of a run."""
    return sorted(path.name for path in run.folder.rglob('.tmp-*'))


def clumsy(done: Done) -> Verdict | None:
    """A verdict on a run that hung, was ended by the system, or fell with a traceback; None if it was none of these."""
    if done.code is None or done.code in _CRASHES:
        return Verdict(CRASHED, done.tail)
    return lossy(f'a traceback: {done.tail}') if 'Traceback' in done.text else None


@contextlib.contextmanager
def ending(started: Started) -> Iterator[Started]:
    """See that a run is gone when a trial ends."""
    try:
        yield started
    finally:
        started.send(signal.SIGKILL, to_all=True)
