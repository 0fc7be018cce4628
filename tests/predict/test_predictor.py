"""The inferencer: the same answers as the evaluation, whatever the number and kind of prompts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from tests.golden import ROOT
from ultrasam import UltraSamInferencer
from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of
from ultrasam.checkpoints.model_card import read_card
from ultrasam.errors import CheckpointError, ConfigError, PromptError
from ultrasam.openmmlab.model_cards import detector_config
from ultrasam.structures import ObjectPrompt

PROMPTS = [
    ObjectPrompt(points_xy=[(100, 120)]),
    ObjectPrompt(box_xyxy=(60, 50, 200, 180)),
    ObjectPrompt(points_xy=[(100, 120), (30, 30), (140, 90)], point_labels=[1, 0, 1]),
    ObjectPrompt(points_xy=[(120, 110)], point_labels=[0], box_xyxy=(60, 50, 200, 180)),
]


@pytest.fixture(scope='module')
def inferencer(checkpoint: Path) -> UltraSamInferencer:
    return UltraSamInferencer(checkpoint, device='cpu')


@pytest.mark.parametrize('kind', ['point', 'box'])
def test_it_answers_as_the_evaluation_does(checkpoint: Path, kind: str):
    config = Config.fromfile(ROOT / f'configs/_base_/datasets/ultrasam_{kind}.py')
    settings = config.test_dataloader.dataset
    settings.update(
        data_root=str(ROOT / 'sample_dataset'),
        ann_file='annotations.agnostic.json',
        data_prefix=dict(img='images'),
    )
    for step in settings.pipeline:
        if step.type == 'FixScaleResize':
            step.scale = (128, 128)
    dataset = DATASETS.build(settings)
    loaded = load_checkpoint_file(checkpoint)
    weights = state_dict_of(loaded, checkpoint)
    model = MODELS.build(detector_config(read_card(weights, loaded['meta'], 'tiny'))).eval()
    load_strict(model, weights, source='tiny')
    inferencer = UltraSamInferencer(checkpoint, device='cpu', mask_upsampling='binary')
    annotations = json.loads((ROOT / 'sample_dataset/annotations.agnostic.json').read_text())
    for i in (0, 3):
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[i]]))
        inferencer.set_image(sample.img_path)
        scale = np.array(sample.scale_factor)
        prompts = [
            ObjectPrompt(points_xy=(p.points - 0.5) / scale)
            if kind == 'point'
            else ObjectPrompt(box_xyxy=(p.box - 0.5) / np.tile(scale, 2))
            for p in sample.gt_instances.prompts
        ]
        assert len(prompts) == sum(a['image_id'] == sample.img_id for a in annotations['annotations'])
        ours = inferencer.predict(prompts)
        assert np.array_equal(ours.masks, sample.pred_instances.masks.numpy())
        assert np.allclose(ours.scores, sample.pred_instances.scores.numpy(), atol=1e-5)


def test_many_objects_at_once_equal_one_by_one(inferencer: UltraSamInferencer, image: np.ndarray):
    inferencer.set_image(image)
    together = inferencer.predict(PROMPTS)
    assert together.masks.shape == (4, *image.shape[:2])
    for i, prompt in enumerate(PROMPTS):
        alone = inferencer.predict(prompt)
        assert np.allclose(alone.scores, together.scores[i : i + 1], atol=1e-5)
        assert (alone.masks[0] ^ together.masks[i]).mean() < 1e-4


def test_an_earlier_mask_is_a_prompt(inferencer: UltraSamInferencer, image: np.ndarray):
    inferencer.set_image(image)
    first = inferencer.predict(points=[(100, 120)])
    mixed = inferencer.predict(
        [
            ObjectPrompt(points_xy=[(100, 120), (40, 40)], point_labels=[1, 0], mask_logits=first.logits),
            ObjectPrompt(box_xyxy=(60, 50, 200, 180)),
        ]
    )
    fresh = inferencer.predict(points=[(100, 120), (40, 40)], labels=[1, 0])
    assert not np.allclose(mixed.logits[0], fresh.logits[0])
    assert np.allclose(mixed.logits[1], inferencer.predict(box=(60, 50, 200, 180)).logits[0], atol=1e-4)


def test_all_candidates_hold_the_chosen_one(inferencer: UltraSamInferencer, image: np.ndarray):
    inferencer.set_image(image)
    best = inferencer.predict(PROMPTS[:2])
    every = inferencer.predict(PROMPTS[:2], all_candidates=True)
    assert every.masks.shape[0] == 6
    assert np.allclose(every.scores.reshape(2, 3).max(1), best.scores)


def test_more_passes_change_the_answer(inferencer: UltraSamInferencer, image: np.ndarray):
    inferencer.set_image(image)
    logits = [inferencer.predict(PROMPTS[1], refinements=n).logits for n in range(3)]
    assert not np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[1], logits[2])


def test_gray_and_colour_are_the_same_image(inferencer: UltraSamInferencer, image: np.ndarray):
    gray = np.ascontiguousarray(image[..., 0])
    inferencer.set_image(gray)
    first = inferencer.predict(PROMPTS[0])
    inferencer.set_image(np.stack([gray] * 3, -1))
    assert np.array_equal(first.masks, inferencer.predict(PROMPTS[0]).masks)


def test_a_batch_of_frames_equals_single_ones(inferencer: UltraSamInferencer, image: np.ndarray):
    frames = [image, image[:200, :150], image[::2, ::2]]
    for frame, encoded in zip(frames, inferencer.encode_batch(frames), strict=True):
        alone = inferencer.encode(frame)
        assert np.allclose(alone.embedding, encoded.embedding, atol=1e-5)
        assert alone.geometry == encoded.geometry


def test_embeddings_are_kept_and_damaged_ones_made_anew(checkpoint: Path, image: np.ndarray, tmp_path: Path):
    cached = UltraSamInferencer(checkpoint, device='cpu', cache_dir=tmp_path / 'cache')
    first = cached.encode(image).embedding
    (entry,) = (tmp_path / 'cache').glob('*.npy')
    again = UltraSamInferencer(checkpoint, device='cpu', cache_dir=tmp_path / 'cache')
    again.engine.encode = None  # a second look must not need the encoder
    assert np.array_equal(again.encode(image).embedding, first)
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 64
    entry.write_bytes(bytes(content))
    assert np.array_equal(cached.encode(image).embedding, first)


def test_bfloat16_is_near(checkpoint: Path, inferencer: UltraSamInferencer, image: np.ndarray):
    half = UltraSamInferencer(checkpoint, device='cpu', precision='bf16')
    a, b = (each.encode(image).embedding for each in (half, inferencer))
    assert a.dtype == np.float32
    assert 0 < np.linalg.norm(a - b) / np.linalg.norm(b) < 0.05


@pytest.mark.parametrize(
    'call, message',
    [
        (dict(points=[(-9, 4)]), r'object 0: a click at \(-9, 4\) is outside the image'),
        (dict(points=[(5000, 4)]), 'outside the image'),
        (dict(box=(9000, 10, 9500, 40)), 'the box .* is outside the image'),
        (dict(box=(50, 10, 20, 40)), 'x1 < x2'),
        (dict(points=[(float('nan'), 4)]), 'not a number'),
        (dict(points=[(3, 4)], labels=[2]), '1 on the object, 0 off it'),
        (dict(points=[(3, 4)], labels=[1, 0]), 'one label a point'),
        ({}, 'without prompt'),
        (dict(points=[(3, 4)], mask_logits=np.zeros((1, 7, 7))), r'give the logits of an earlier answer'),
        (dict(points=[(3, 4)], refinements=-1), 'refinements=-1'),
    ],
)
def test_prompts_that_mean_nothing(
    inferencer: UltraSamInferencer, image: np.ndarray, call: dict, message: str
):
    inferencer.set_image(image)
    with pytest.raises(PromptError, match=message):
        inferencer.predict(**call)


def test_no_image_yet(checkpoint: Path):
    with pytest.raises(PromptError, match='set_image'):
        UltraSamInferencer(checkpoint, device='cpu').predict(points=[(1, 1)])


@pytest.mark.parametrize(
    'array', [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_arrays_that_are_no_image(inferencer: UltraSamInferencer, array: np.ndarray):
    with pytest.raises(PromptError, match='image'):
        inferencer.set_image(array)


def test_options_that_do_not_exist(checkpoint: Path):
    with pytest.raises(ConfigError, match='fp16'):
        UltraSamInferencer(checkpoint, precision='fp16')
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no device 'cuda'"):
            UltraSamInferencer(checkpoint, device='cuda')


@pytest.mark.parametrize(
    'names, message',
    [
        (['image_encoder.blocks.0.norm1.weight', 'mask_decoder.a', 'prompt_encoder.a'], 'segment-anything'),
        (
            ['vision_encoder.layers.0.layer_norm1.weight', 'mask_decoder.a', 'prompt_encoder.a'],
            'transformers',
        ),
        (['head.fc.weight'], 'image classifier'),
        (['conv1.weight'], '1 tensors'),
    ],
)
def test_a_checkpoint_that_is_not_ours(tmp_path: Path, names: list[str], message: str):
    torch.save({name: torch.zeros(2) for name in names}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=message):
        UltraSamInferencer(tmp_path / 'other.pth')
