"""Segment Anything and MedSAM answer as their own code does, from the image file to the mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config

from tests.golden import ROOT, SMALL_ARCH, collate
from tests.models.test_properties import random_prompts, tiny_model
from tests.models.test_segment_anything import build_segment_anything
from ultrasam.checkpoints.sources import from_source
from ultrasam.structures import Prompt, PromptBatch

reference = pytest.importorskip('segment_anything', reason='segment-anything comes with the test extra')

SIZE = 256
FULL = ROOT / 'configs/UltraSAM/UltraSAM_full'
# x1, y1, x2, y2; the mask is the ellipse in it, so that its centre is known
BOXES = np.array([[40.0, 30.0, 121.0, 91.0], [100.0, 60.0, 161.0, 141.0]])


@pytest.fixture(scope='module')
def sam() -> torch.nn.Module:
    return build_segment_anything(small=True)


def ours(leaf: str, sam: torch.nn.Module) -> tuple[torch.nn.Module, list[dict]]:
    """The model of a config with the weights of the reference, and the pipeline of its test images."""
    config = Config.fromfile(FULL / leaf, import_custom_modules=False)
    config.model.data_preprocessor.pad_size_divisor = config.model.prompt_encoder.img_size = SIZE
    config.model.backbone.update(img_size=SIZE, arch=SMALL_ARCH)
    model = MODELS.build(config.model).eval()
    model.load_state_dict(from_source(sam.state_dict(), 'segment-anything'), strict=True)
    steps = config.test_dataloader.dataset.pipeline
    for step in steps:
        step.update({k: v for k, v in dict(scale=(SIZE, SIZE), size=SIZE).items() if k in step})
    assert [step.type for step in steps] == [
        'LoadFrame', steps[1].type, 'LoadInstanceAnnotations', 'SamplePrompts', 'PackPromptedInputs',
    ]  # fmt: skip
    return model, steps


def picture(size_hw: tuple[int, int]) -> np.ndarray:
    """A smooth picture in colour, RGB."""
    noise = np.random.default_rng(3).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 20, 230, cv2.NORM_MINMAX)


def ellipses(size_hw: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    masks = []
    for x1, y1, x2, y2 in BOXES:
        centre, radius = ((x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2), ((x2 - x1) / 2, (y2 - y1) / 2)
        masks.append(((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 <= 1)
    return np.array(masks, np.uint8)


def answer(model: torch.nn.Module, steps: list[dict], image: np.ndarray, tmp_path):
    """Predictions for a picture on disk whose objects fill ``BOXES``."""
    height, width = image.shape[:2]
    path = str(tmp_path / 'picture.png')
    cv2.imwrite(path, image[..., ::-1])
    results = Compose([steps[0], steps[1]])(dict(img_path=path, img_id=0))
    # annotations are those of the original image
    results.update(
        gt_bboxes=HorizontalBoxes(BOXES.astype(np.float32)),
        gt_bboxes_labels=np.zeros(len(BOXES), np.int64),
        gt_ignore_flags=np.zeros(len(BOXES), bool),
        gt_masks=BitmapMasks(ellipses((height, width)), height, width),
    )
    packed = Compose(steps[3:])(results)
    with torch.no_grad():
        (sample,) = model.test_step(collate([packed]))
    return sample.pred_instances


def assert_same(found, masks: np.ndarray, scores: np.ndarray) -> None:
    """Equal but for pixels whose logit is next to zero."""
    assert found.masks.shape == masks.shape
    assert 0 < masks.mean() < 1, 'a mask of nothing or of everything proves nothing'
    assert np.allclose(found.scores.numpy(), scores, atol=1e-4)
    assert (found.masks.numpy() != masks).mean() < 1e-3


@pytest.mark.parametrize('size_hw', [(150, 200), (410, 370)], ids=['enlarged', 'reduced'])
@pytest.mark.parametrize('prompt', ['point', 'box'])
def test_segment_anything(sam, prompt: str, size_hw: tuple[int, int], tmp_path):
    model, steps = ours(f'zero_shot_vanilla_sam/{prompt}/BUSBRA.py', sam)
    image = picture(size_hw)
    found = answer(model, steps, image, tmp_path)
    predictor = reference.SamPredictor(sam)
    predictor.set_image(image)
    masks, scores = [], []
    for x1, y1, x2, y2 in BOXES:
        if prompt == 'box':
            mask, score, _ = predictor.predict(box=np.array([x1, y1, x2, y2]), multimask_output=False)
        else:
            centre = np.array([[(x1 + x2 - 1) / 2, (y1 + y2 - 1) / 2]])
            mask, score, _ = predictor.predict(point_coords=centre, point_labels=np.array([1]))
        masks.append(mask[score.argmax()])
        scores.append(score.max())
    assert_same(found, np.array(masks), np.array(scores))


@torch.no_grad()
def medsam(sam: torch.nn.Module, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MedSAM's inference as its paper and code describe it, on the modules of segment-anything."""
    resize = pytest.importorskip('skimage.transform', reason='scikit-image is not installed').resize
    height, width = image.shape[:2]
    square = resize(image, (SIZE, SIZE), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    unit = (square - square.min()) / np.clip(float(square.max()) - square.min(), 1e-8, None)
    embedding = sam.image_encoder(torch.tensor(unit, dtype=torch.float32).permute(2, 0, 1)[None])
    masks, scores = [], []
    for box in BOXES:
        scaled = torch.tensor(box / [width, height, width, height] * SIZE, dtype=torch.float32)[None]
        sparse, dense = sam.prompt_encoder(points=None, boxes=scaled, masks=None)
        logits, iou = sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        full = F.interpolate(logits.sigmoid(), (height, width), mode='bilinear', align_corners=False)
        masks.append(full[0, 0].numpy())
        scores.append(iou.item())
    return np.array(masks), np.array(scores)


@pytest.mark.parametrize('size_hw', [(150, 200), (410, 370)], ids=['enlarged', 'reduced'])
def test_medsam(sam, size_hw: tuple[int, int], tmp_path):
    model, steps = ours('zero_shot_medsam/box/BUSBRA.py', sam)
    image = picture(size_hw)
    found = answer(model, steps, image, tmp_path)
    probabilities, scores = medsam(sam, image)
    assert_same(found, probabilities > 0.5, scores)


@torch.no_grad()
def test_prompts_of_several_kinds_in_one_batch():
    """A single click gets one of the candidates, the others the single mask, whatever is beside them."""
    model = tiny_model(**{'type': 'SegmentAnything', 'inference_refinements': 0})
    embedding = model.extract_feat(torch.randn(1, 3, 128, 128))
    prompts = [*random_prompts(8, 0), Prompt(points=[(30, 40)], point_labels=[0])]
    logits, iou, _ = model.predict_logits(embedding, PromptBatch.from_prompts([prompts]), [])
    for i, prompt in enumerate(prompts):
        every, all_iou, _ = model.decode(embedding, PromptBatch.from_prompts([[prompt]]))
        best = 1 + int(all_iou[0, 1:].argmax()) if prompt.is_single_click else 0
        assert torch.allclose(logits[i, 0], every[0, best], atol=1e-5)
        assert torch.allclose(iou[i, 0], all_iou[0, best], atol=1e-5)
    candidates = model.predict_logits(
        embedding, PromptBatch.from_prompts([prompts]), [], all_candidates=True
    ).logits
    assert candidates.shape[1] == 3
    none = model.predict_logits(embedding, PromptBatch.from_prompts([[]]), []).logits
    assert none.shape == (0, 1, 32, 32)
