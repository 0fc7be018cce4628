"""What a user sees first of a run, and the checkpoint that it always leaves."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch import nn

from tests.training.tiny import RandomModel, Record, make_runner
from ultrasam.checkpoints.digests import check_digest, recorded_digests
from ultrasam.openmmlab.hooks import FirstStepLoggerHook
from ultrasam.openmmlab.quiet_imports import quiet_imports
from ultrasam.openmmlab.runner import UltraSamRunner


@contextlib.contextmanager
def messages_of(runner: Runner):
    found: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: found.append(record.getMessage())
    runner.logger.addHandler(handler)
    yield found
    runner.logger.removeHandler(handler)


def test_the_first_step_is_logged_then_every_fifth(tmp_path: Path):
    runner = make_runner(tmp_path / 'run', Record(), iterations=12)
    runner._hooks = [hook for hook in runner.hooks if type(hook).__name__ != 'LoggerHook']
    runner.register_hook(FirstStepLoggerHook(interval=5))
    with messages_of(runner) as messages:
        runner.train()
    steps = [re.search(r'(\d+)/\d+\].*loss: ', message) for message in messages]
    assert [int(step[1]) for step in steps if step] == [1, 5, 10]


def test_one_line_for_all_parameters(tmp_path: Path):
    model = RandomModel()
    model.frozen = nn.Linear(2, 2).requires_grad_(False)
    runner = make_runner(tmp_path / 'run', Record(), model=model)
    runner.__class__ = UltraSamRunner
    optimizer = dict(type='AdamW', lr=0.05, weight_decay=0.1)
    with messages_of(runner) as messages:
        runner.build_optim_wrapper(
            dict(optimizer=optimizer, paramwise_cfg=dict(bias_decay_mult=0.0, bypass_duplicate=True))
        )
    assert messages == [
        '15 of 21 parameters are trained: 12 with lr 0.05, weight decay 0.1; 3 with lr 0.05, weight decay 0'
    ]


def interrupt(runner: Runner) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def end_early(runner: Runner) -> None:
    runner.train_loop.stop_training = True


@pytest.mark.parametrize(
    ('after_step', 'expected'),
    [({}, 6), ({2: interrupt}, 3), ({4: end_early}, 5)],
    ids=['end', 'signal', 'early'],
)
def test_the_newest_checkpoint_is_always_last(tmp_path: Path, after_step: dict, expected: int):
    runner = make_runner(tmp_path / 'run', Record(after_step), iterations=6, interval=2)
    with contextlib.suppress(SystemExit):
        runner.train()
    last = tmp_path / 'run' / 'last.pth'
    assert torch.load(last, weights_only=True)['meta']['iter'] == expected
    assert recorded_digests(last) == (check_digest(tmp_path / 'run' / f'iter_{expected}.pth'),)
    assert check_digest(last)


@pytest.mark.parametrize('can_link', [True, False])
def test_a_run_goes_on_from_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_link: bool):
    if not can_link:
        monkeypatch.setattr(os, 'link', _refuse)
    straight, resumed = Record(), Record()
    make_runner(tmp_path / 'straight', straight, iterations=8).train()
    with contextlib.suppress(SystemExit):
        make_runner(tmp_path / 'run', Record({3: interrupt}), iterations=8).train()
    last = tmp_path / 'run' / 'last.pth'
    make_runner(tmp_path / 'run', resumed, iterations=8, resume=True, load_from=str(last)).train()
    assert resumed.losses == {step: loss for step, loss in straight.losses.items() if step >= 4}
    assert torch.load(last, weights_only=True)['meta']['iter'] == 8


def test_last_is_whole_whenever_a_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    last, seen = tmp_path / 'run' / 'last.pth', []
    replace = os.replace

    def checked(*paths: str) -> None:
        replace(*paths)
        if last.exists():
            # raises where file and record disagree
            seen.append(check_digest(last))

    monkeypatch.setattr(os, 'replace', checked)
    make_runner(tmp_path / 'run', Record(), iterations=6, interval=2).train()
    assert len(set(seen)) == 3
    assert None not in seen


def _refuse(*paths: str) -> None:
    raise PermissionError(1, 'no links here')


def test_warnings_are_silent_during_imports_only():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        with quiet_imports():
            compile(r"'\d'", 'theirs', 'exec')
        assert not caught
        compile(r"'\d'", 'ours', 'exec')
    assert len(caught) == 1


def test_mmdet_and_mmpretrain_are_imported_silently():
    command = [sys.executable, '-W', 'always', '-c', 'import ultrasam.openmmlab.registry']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'invalid escape sequence' not in done.stderr
    assert not done.stdout
