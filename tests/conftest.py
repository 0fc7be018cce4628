"""What every test starts from."""

from __future__ import annotations

import functools
import gc
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Workers share the cores already, and threads that wait for each other use them up. Before numpy is imported.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import pytest

# OpenMMLab is imported where it is used: the process that only hands tests to others needs none of it.


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Leave what is imported for good to itself: the collector of garbage would walk through millions of objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def scope_of_mmdet() -> None:
    """Types are looked up as in a run, whatever an earlier test left behind."""
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')


@pytest.fixture(autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings of who runs it; what one accepts, the next has not."""
    monkeypatch.setenv(
        'XDG_CONFIG_HOME', str(tmp_path_factory.getbasetemp() / f'settings-{time.monotonic_ns()}')
    )


def _remembered(layout: Callable[..., Any]) -> Callable[..., Any]:
    """A function that lays out code, which remembers what it made of a text."""
    known: dict[str, Any] = {}

    def remembered(text: str, **options: Any) -> Any:
        key = f'{options}\n{text}'
        if key not in known:
            known[key] = layout(text, **options)
        return known[key]

    return remembered


@pytest.fixture(scope='session', autouse=True)
def quick_runs() -> Iterator[None]:
    """Spare the runs of MMEngine what takes longer than a small run itself and changes nothing in it."""
    if 'mmengine.runner' not in sys.modules:
        yield  # none of the chosen tests trains anything
        return
    from mmengine.runner import loops, runner
    from yapf.yapflib import yapf_api

    with pytest.MonkeyPatch.context() as patch:
        # each runner asks every compiler for its version, which takes a second
        patch.setattr(runner, 'collect_env', functools.cache(runner.collect_env))
        # a run writes its config eight times, and lays the same text out anew each time
        patch.setattr(yapf_api, 'FormatCode', _remembered(yapf_api.FormatCode))
        # each new epoch waits two seconds for the workers of the last one to end
        patch.setattr(loops, 'time', types.SimpleNamespace(**{**vars(time), 'sleep': lambda seconds: None}))
        yield


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny model that refines, with the note that our files carry."""
    import torch

    from tests.models.test_properties import tiny_model

    path = tmp_path_factory.mktemp('weights') / 'tiny.pth'
    note = dict(mlp_skip='doubled', point_refinement='keep', licence='Apache-2.0')
    torch.save(dict(meta=dict(ultrasam=note), state_dict=tiny_model().state_dict()), path)
    return path


@pytest.fixture(scope='session')
def image() -> np.ndarray:
    """A sample frame, RGB."""
    import cv2

    from tests.golden import ROOT

    path = min((ROOT / 'sample_dataset/images').iterdir())
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
