"""What every test starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope


@pytest.fixture(autouse=True)
def scope_of_mmdet() -> None:
    """Types are looked up as in a run, whatever an earlier test left behind."""
    init_default_scope('mmdet')


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
