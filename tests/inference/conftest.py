"""A small model and an image to try it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden import ROOT
from tests.models.test_properties import tiny_model


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny model that refines, with the note that our files carry."""
    path = tmp_path_factory.mktemp('weights') / 'tiny.pth'
    note = dict(mlp_skip='doubled', point_refinement='keep', licence='Apache-2.0')
    torch.save(dict(meta=dict(ultrasam=note), state_dict=tiny_model().state_dict()), path)
    return path


@pytest.fixture(scope='session')
def image() -> np.ndarray:
    """A sample frame, RGB."""
    import cv2

    path = min((ROOT / 'sample_dataset/images').iterdir())
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
