"""The model computes what the published implementation computed on the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks
from pycocotools import mask as coco_mask

from tests.golden import (
    FRAMES,
    SHARED,
    collate,
    frame,
    needs_frames,
    needs_golden,
    read_json,
    seeded_model,
    trained,
)

pytestmark = [needs_golden, needs_frames]

VARIANTS = ['small_point_refine', 'small_box_refine', 'small_point_no_refine', 'small_box_no_refine']


def relative_error(ours, reference) -> float:
    """Largest difference over the largest magnitude of the reference."""
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def assert_same_prediction(ours, recorded) -> None:
    """Scores, boxes and masks agree; a mask may differ where its logit is within tolerance of zero."""
    assert np.allclose(ours.scores.numpy(), recorded['scores'], atol=1e-4)
    assert np.allclose(ours.bboxes.numpy(), recorded['bboxes'], atol=1.0)
    assert ours.labels.tolist() == recorded['labels']
    for mask, rle in zip(ours.masks.numpy(), recorded['masks'], strict=True):
        reference = coco_mask.decode(rle).astype(bool)
        union = (mask | reference).sum()
        assert union == 0 or (mask & reference).sum() / union >= 0.999


@pytest.fixture(scope='module')
def small_models():
    return {refine: seeded_model(refine=refine) for refine in (True, False)}


@torch.no_grad()
def check_predictions(model, variant: str) -> None:
    """Masks, boxes and scores of all ten frames."""
    recorded = read_json('small_predictions.json')[variant]
    assert len(recorded) == 10
    for record in recorded:
        (sample,) = model.test_step(collate([frame(record['file_name'], 256, record['prompts'])]))
        assert_same_prediction(sample.pred_instances, record)


@torch.no_grad()
def check_mask_logits(model, variant: str) -> None:
    """Mask logits of the two frames whose logits were recorded."""
    recorded = read_json('small_predictions.json')[variant]
    with np.load(SHARED / 'golden' / 'small_logits.npz') as logits:
        names = sorted(name for name in logits.files if name.startswith(variant))
        assert len(names) == 2
        for name, record in zip(names, recorded, strict=False):
            data = model.data_preprocessor(
                collate([frame(record['file_name'], 256, record['prompts'])]), False
            )
            ours, _ = model(**data, mode='tensor')
            assert ours.shape == logits[name].shape
            assert relative_error(ours, logits[name]) < 2e-4


def check_losses(model, refine: bool) -> None:
    """Training losses and gradient norms of the four recorded frames."""
    recorded = read_json('small_losses.json')['small_refine' if refine else 'small_no_refine']
    batch = collate(
        [training_frame(i, p) for i, p in zip(recorded['image_ids'], recorded['prompts'], strict=True)]
    )
    losses = model(**model.data_preprocessor(batch, False), mode='loss')
    assert set(losses) == set(recorded['losses'])
    for name, value in recorded['losses'].items():
        assert losses[name].item() == pytest.approx(value, rel=2e-4), name
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.item() == pytest.approx(recorded['total'], rel=2e-4)
    for name, value in recorded['grad_norm'].items():
        gradients = [p.grad for key, p in trained(model).items() if key.startswith(f'{name}.')]
        assert all(g is not None for g in gradients)
        assert torch.stack([g.norm() for g in gradients]).norm().item() == pytest.approx(value, rel=2e-4), (
            name
        )


@pytest.mark.parametrize('variant', VARIANTS)
def test_predictions_of_all_frames(variant, small_models):
    check_predictions(small_models['no_refine' not in variant], variant)


@pytest.mark.parametrize('variant', VARIANTS)
def test_mask_logits(variant, small_models):
    check_mask_logits(small_models['no_refine' not in variant], variant)


@pytest.mark.parametrize('refine', [True, False])
def test_losses_and_gradients(refine):
    check_losses(seeded_model(refine=refine), refine)


def training_frame(image_id: int, prompts: dict) -> dict:
    """A recorded training frame: resized image and mask, prompts as recorded."""
    from mmdet.datasets.transforms import FixScaleResize
    from pycocotools.coco import COCO

    coco = COCO(FRAMES / 'annotations.json')
    info = coco.imgs[image_id]
    item = frame(info['file_name'], 256, prompts)
    (annotation,) = coco.imgToAnns[image_id]
    masks = BitmapMasks(coco.annToMask(annotation)[None], info['height'], info['width'])
    results = dict(img=np.zeros((info['height'], info['width'], 3), np.uint8), gt_masks=masks)
    results = FixScaleResize(scale=(256, 256), keep_ratio=True)(results)
    assert list(results['img_shape'][:2]) == prompts['img_shape']
    assert results['gt_masks'].masks.sum((1, 2)).tolist() == prompts['mask_area']
    item['data_samples'].gt_instances.masks = results['gt_masks']
    return item


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.parametrize('variant', ['vit_b_point', 'vit_b_box'])
def test_vit_b(variant):
    model = seeded_model(small=False)
    record = read_json('vit_b_predictions.json')[variant][0]
    batch = collate([frame(record['file_name'], 1024, record['prompts'])])
    with np.load(SHARED / 'golden' / 'vit_b_logits.npz') as recorded:
        data = model.data_preprocessor(batch, False)
        embedding = model.extract_feat(data['inputs'])
        logits, *_ = model.predict_logits(
            embedding, model._prompts(data['data_samples'], 'cpu'), data['data_samples']
        )
        assert relative_error(embedding[0, ::8, ::8, ::8], recorded['vit_b_embedding_every_8th']) < 2e-4
        assert relative_error(logits, recorded[variant]) < 2e-4
    (sample,) = model.test_step(batch)
    assert_same_prediction(sample.pred_instances, record)
