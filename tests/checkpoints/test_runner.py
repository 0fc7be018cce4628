"""MMEngine reads through the package: training, resuming, testing, initialising."""

from __future__ import annotations

import functools
import http.server
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModule, initialize
from mmengine.runner import load_checkpoint
from torch import nn

import ultrasam.hooks.checkpoint  # noqa: F401 (registers the hook)
from ultrasam.errors import CheckpointError

from .conftest import RunnerFactory, TinyModel
from .test_unsafe_files import Calls


def saved(tmp_path: Path, content: Any) -> str:
    path = tmp_path / 'weights.pth'
    torch.save(content, path)
    return str(path)


def test_resume_equals_the_uninterrupted_run(make_runner: RunnerFactory, tmp_path: Path) -> None:
    straight = make_runner('straight', iterations=4)
    straight.train()
    make_runner('part', iterations=2).train()
    resumed = make_runner('part', iterations=4, load_from=str(tmp_path / 'part' / 'iter_2.pth'), resume=True)
    resumed.train()
    assert resumed.iter == 4
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    history = resumed.message_hub.get_scalar('train/loss')
    assert len(history.data[0]) == 4


def test_success_is_one_line(
    make_runner: RunnerFactory, training_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner('second', load_from=str(training_checkpoint))
    lines: list[str] = []
    monkeypatch.setattr(runner.logger, 'info', lambda text, *args: lines.append(str(text)))
    runner.load_or_resume()
    assert [line for line in lines if line.startswith('loaded')] == [
        f'loaded 9 tensors from {training_checkpoint}'
    ]


@pytest.mark.parametrize(
    'wrap',
    [
        lambda weights: {'model': weights},
        lambda weights: weights,
        lambda weights: {f'module.{key}': value for key, value in weights.items()},
    ],
)
def test_weights_wrapped_otherwise_still_enter_the_model(
    make_runner: RunnerFactory, tmp_path: Path, wrap: Any
) -> None:
    weights = {name: tensor + 1 for name, tensor in TinyModel().state_dict().items()}
    runner = make_runner(load_from=saved(tmp_path, wrap(weights)))
    runner.load_or_resume()
    assert torch.equal(runner.model.encoder.weight, weights['encoder.weight'])


@pytest.mark.parametrize(
    ('change', 'cause'),
    [
        (lambda weights: weights.pop('encoder.weight'), '1 missing'),
        (lambda weights: weights.update(extra=torch.ones(1)), '1 unexpected'),
        (lambda weights: weights.update({'encoder.bias': torch.ones(9)}), '1 of another shape'),
        (lambda weights: weights['encoder.bias'].fill_(float('nan')), 'NaN'),
    ],
)
def test_run_stops_before_weights_that_do_not_fit(
    make_runner: RunnerFactory, tmp_path: Path, change: Any, cause: str
) -> None:
    weights = TinyModel().state_dict()
    change(weights)
    path = saved(tmp_path, {'state_dict': weights})
    runner = make_runner(load_from=path)
    before = runner.model.norm.weight.clone()
    with pytest.raises(CheckpointError, match=cause) as caught:
        runner.train()
    assert path in str(caught.value)
    assert torch.equal(before, runner.model.norm.weight)


def test_stock_runner_goes_on_with_random_weights(make_runner: RunnerFactory, tmp_path: Path) -> None:
    """The trap that the hook closes; without it, the tests above would pass for nothing."""
    runner = make_runner(
        load_from=saved(tmp_path, {'state_dict': {'other.weight': torch.ones(1)}}), custom_hooks=[]
    )
    runner.load_or_resume()
    assert runner._has_loaded


def test_model_without_refinement_takes_a_refine_checkpoint(
    make_runner: RunnerFactory, tmp_path: Path
) -> None:
    source = TinyModel()
    runner = make_runner(
        model=TinyModel(refine=False), load_from=saved(tmp_path, {'state_dict': source.state_dict()})
    )
    runner.load_or_resume()
    assert torch.equal(runner.model.encoder.weight, source.encoder.weight)


def test_hook_allowances(make_runner: RunnerFactory, tmp_path: Path) -> None:
    weights = TinyModel().state_dict()
    del weights['mask_downscaling.bias']
    weights['old.bias'] = torch.ones(1)
    hook = {
        'type': 'StrictCheckpointHook',
        'allow_missing': [r'mask_downscaling\..*'],
        'allow_unexpected': ['old.*'],
    }
    runner = make_runner(load_from=saved(tmp_path, {'state_dict': weights}), custom_hooks=[hook])
    runner.load_or_resume()
    assert torch.equal(runner.model.encoder.weight, weights['encoder.weight'])


@pytest.mark.parametrize('resume', [False, True])
def test_unsafe_file_stops_the_run_and_does_not_run(
    make_runner: RunnerFactory, tmp_path: Path, resume: bool
) -> None:
    canary = tmp_path / 'canary'
    content = {'state_dict': TinyModel().state_dict(), 'optimizer': Calls(os.system, f'touch {canary}')}
    runner = make_runner(load_from=saved(tmp_path, content), resume=resume)
    with pytest.raises(CheckpointError, match=r'system'):
        runner.train()
    assert not canary.exists()


def test_averaged_weights_resume(make_runner: RunnerFactory, tmp_path: Path) -> None:
    hooks = [{'type': 'EMAHook'}, {'type': 'StrictCheckpointHook'}]
    make_runner('ema', custom_hooks=hooks).train()
    resumed = make_runner(
        'ema', iterations=3, custom_hooks=hooks, load_from=str(tmp_path / 'ema' / 'iter_2.pth'), resume=True
    )
    resumed.train()
    assert resumed.iter == 3


class Pretrained(BaseModule):
    """A backbone that MMEngine initialises from a file."""

    def __init__(self, init_cfg: dict[str, Any]) -> None:
        super().__init__(init_cfg)
        self.encoder = nn.Linear(2, 3)


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_pretrained_initialisation_reads_safely(
    make_runner: RunnerFactory, tmp_path: Path, prefix: str | None
) -> None:
    values = {
        f'{prefix or ""}encoder.{name}': tensor for name, tensor in nn.Linear(2, 3).state_dict().items()
    }
    init_cfg = {'type': 'Pretrained', 'checkpoint': saved(tmp_path, {'model': values}), 'prefix': prefix}
    module = Pretrained(init_cfg)
    initialize(module, init_cfg)
    assert torch.equal(module.encoder.weight, values[f'{prefix or ""}encoder.weight'])
    canary = tmp_path / 'canary'
    saved(tmp_path, {'state_dict': values, 'meta': Calls(os.system, f'touch {canary}')})
    with pytest.raises(CheckpointError):
        initialize(module, init_cfg)
    assert not canary.exists()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        logging.getLogger(__name__).debug(format, *args)


def test_downloads_are_read_safely(
    make_runner: RunnerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    canary = tmp_path / 'canary'
    served = tmp_path / 'served'
    served.mkdir()
    weights = {'state_dict': TinyModel().state_dict()}
    torch.save(weights, served / 'good.pth')
    torch.save(weights, served / 'good-01234567.pth')
    torch.save({**weights, 'meta': Calls(os.system, f'touch {canary}')}, served / 'bad.pth')
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(QuietHandler, directory=str(served))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    try:
        load_checkpoint(TinyModel(), f'{address}/good.pth', strict=True)
        with pytest.raises(CheckpointError, match='system'):
            load_checkpoint(TinyModel(), f'{address}/bad.pth')
        for name in ('good-01234567.pth', 'none.pth'):
            with pytest.raises(CheckpointError, match='download failed'):
                load_checkpoint(TinyModel(), f'{address}/{name}')
    finally:
        server.shutdown()
        server.server_close()
    assert not canary.exists()
    assert sorted(path.name for path in (tmp_path / 'hub' / 'checkpoints').iterdir()) == [
        'bad.pth',
        'good.pth',
    ]
