"""Access to recorded outputs of the published model; absent on a user's machine, where tests that need them skip."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import ultrasam.openmmlab.registry  # noqa: F401
from ultrasam.structures import Prompt

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / 'shared'
FRAMES = SHARED / 'samples' / 'mmotu2d'

needs_golden = pytest.mark.skipif(
    not (SHARED / 'golden').is_dir(),
    reason='recorded outputs of the published model are not beside this checkout',
)
needs_frames = pytest.mark.skipif(
    not FRAMES.is_dir(), reason='the ten real frames are not beside this checkout'
)

SMALL_ARCH = dict(
    embed_dims=96, num_layers=4, num_heads=4, feedforward_channels=384, global_attn_indexes=[1, 3]
)


@cache
def read_json(name: str):
    """A JSON file of recorded outputs."""
    return json.loads((SHARED / 'golden' / name).read_text())


def seeded_state_dict(variant: str) -> dict[str, torch.Tensor]:
    """The weights that the recorded outputs were made with."""
    spec = importlib.util.spec_from_file_location('seeded_weights', SHARED / 'golden' / 'seeded_weights.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.seeded_state_dict(read_json('contract.json')[variant], seed=0)


def model_config(*, small: bool = True, refine: bool = True, **overrides) -> dict:
    """Config of the published detector, at full or at test size, with dotted overrides."""
    init_default_scope('mmdet')
    config = Config.fromfile(ROOT / 'configs/_base_/models/ultrasam.py')
    options = {'model.num_refinements': int(refine)}
    if small:
        options |= {
            'model.data_preprocessor.pad_size_divisor': 256,
            'model.prompt_encoder.img_size': 256,
            'model.backbone.img_size': 256,
            'model.backbone.arch': dict(SMALL_ARCH, _delete_=True),
        }
    config.merge_from_dict({**options, **{f'model.{key}': value for key, value in overrides.items()}})
    return config.model


def seeded_model(*, small: bool = True, refine: bool = True, **overrides) -> torch.nn.Module:
    """The detector with the weights of the recorded outputs, strictly loaded, in evaluation mode."""
    model = MODELS.build(model_config(small=small, refine=refine, **overrides))
    variant = ('small_refine' if refine else 'small_no_refine') if small else 'vit_b_refine'
    model.load_state_dict(seeded_state_dict(variant), strict=True)
    return model.eval()


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Parameters of a model under the names of its weights in files."""
    return {
        name: value
        for name, value in model.state_dict(keep_vars=True).items()
        if isinstance(value, torch.nn.Parameter)
    }


def frame(file_name: str, size: int, prompts: dict) -> dict:
    """Network input of a real frame and its sample with the recorded prompts."""
    image = cv2.imread(str(FRAMES / file_name))
    height, width = image.shape[:2]
    scale = min(size / max(height, width), size / min(height, width))
    resized = cv2.resize(image, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_LINEAR)
    sample = DetDataSample(
        metainfo=dict(
            ori_shape=(height, width),
            img_shape=resized.shape[:2],
            scale_factor=(resized.shape[1] / width, resized.shape[0] / height),
        )
    )
    sample.gt_instances = InstanceData(prompts=recorded_prompts(prompts))
    return dict(
        inputs=torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))), data_samples=sample
    )


def recorded_prompts(prompts: dict) -> list[Prompt]:
    """Prompts of an image from their record: type 0 is a point, 1 a box."""
    return [
        Prompt(points=points, point_labels=[1] * len(points)) if kind == 0 else Prompt(box=np.ravel(box))
        for points, box, kind in zip(
            prompts['points'], prompts['boxes'], prompts['prompt_types'], strict=True
        )
    ]


def collate(frames: list[dict]) -> dict:
    """A batch as mmengine's pseudo collate makes it."""
    return dict(inputs=[f['inputs'] for f in frames], data_samples=[f['data_samples'] for f in frames])
