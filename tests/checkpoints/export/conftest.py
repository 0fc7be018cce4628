"""Checkpoints small enough to export many times, and their exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.golden import trained
from tests.models.test_properties import TINY, tiny_model
from ultrasam.export import export_checkpoint

# the labelling tools take images of 1024 px; windows alone keep it small
TINY_1024 = {
    'backbone.arch': dict(TINY, global_attn_indexes=[], _delete_=True),
    'backbone.img_size': 1024,
    'prompt_encoder.img_size': 1024,
    'data_preprocessor.pad_size_divisor': 1024,
}


def save_tiny(path: Path, *, refine: bool = True, note: dict[str, Any] | None = None, **overrides) -> Path:
    """A checkpoint of a tiny model, whose mask logits are large enough to tell masks apart."""
    model = tiny_model(refine=refine, **overrides)
    for name, parameter in trained(model).items():
        if name.startswith('bbox_head.'):
            parameter.data.mul_(1.5)
    note = dict(licence='Apache-2.0', point_refinement='keep') | (note or {})
    torch.save(dict(meta=dict(ultrasam=note), state_dict=model.state_dict()), path)
    return path


@pytest.fixture(scope='session')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this part of the tests keeps what all of it uses."""
    return tmp_path_factory.mktemp('export')


@pytest.fixture(scope='session')
def tiny(folder: Path) -> Path:
    """As published: doubled skip, mask prompts, no mask for a box."""
    return save_tiny(folder / 'tiny.pth')


@pytest.fixture(scope='session')
def ellipse(folder: Path) -> Path:
    """A model that starts a box from the ellipse in it."""
    overrides = {'prompt_encoder.box_mask': 'ellipse'}
    return save_tiny(folder / 'ellipse.pth', note=dict(box_mask='ellipse'), **overrides)


@pytest.fixture(scope='session')
def one_pass(folder: Path) -> Path:
    """A model that does not refine, and so takes no mask prompts."""
    return save_tiny(folder / 'one_pass.pth', refine=False)


@pytest.fixture(scope='session')
def tiny_1024(folder: Path) -> Path:
    """A model of the input size that labelling tools take for granted."""
    return save_tiny(folder / 'tiny_1024.pth', **TINY_1024)


@pytest.fixture(scope='session')
def onnx_folder(tiny: Path) -> Path:
    """The ONNX export of the tiny model."""
    pytest.importorskip('onnx')
    out = tiny.parent / 'onnx'
    export_checkpoint(tiny, out, 'onnx')
    return out
