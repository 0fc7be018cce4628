"""Exports of the full-size model, run by the software that they are for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints.export.running import (
    decoder_inputs,
    difference,
    model_answer,
    run,
    some_points,
    write_decoder,
)
from tests.checkpoints.export.test_labelling_tools import ask
from tests.golden import SHARED, frame, needs_frames, needs_golden, read_json, seeded_state_dict
from tests.models.test_golden import relative_error
from ultrasam import UltraSamInferencer
from ultrasam.export import export_checkpoint
from ultrasam.models.postprocess import boxes_of_masks, masks_at_image_size
from ultrasam.structures import ObjectPrompt

pytestmark = [pytest.mark.slow, needs_golden]
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

BOX = (220.0, 150.0, 690.0, 500.0)
# the published model, without refinement as software for SAM runs it
SINGLE_PASS = dict(refinements=0, all_candidates=True)
PROMPTS = {
    'point': some_points(1, (700, 1024)),
    'points': some_points(3, (700, 1024), seed=1),
    'box': dict(box=BOX),
    'box and points': dict(box=BOX, **some_points(2, (700, 1024), seed=2)),
}


@pytest.fixture(scope='module')
def published(tmp_path_factory) -> Path:
    """A file laid out like the published checkpoint, with seeded weights."""
    path = tmp_path_factory.mktemp('vit_b') / 'UltraSam.pth'
    torch.save(dict(meta=dict(iter=30000), state_dict=seeded_state_dict('vit_b_refine')), path)
    return path


@pytest.fixture(scope='module')
def labelling(published) -> Path:
    out = published.parent / 'labelling'
    export_checkpoint(published, out, 'x-anylabeling')
    return out


@pytest.fixture(scope='module')
def all_masks(published) -> Path:
    return write_decoder(published, published.parent / 'all_masks.onnx')


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (700, 1024, 3), np.uint8)


@pytest.fixture(scope='module')
def inferencer(published, picture):
    inferencer = UltraSamInferencer(published, device='cpu')
    inferencer.set_image(picture)
    return inferencer


@needs_frames
@pytest.mark.parametrize('variant', ['vit_b_point', 'vit_b_box'])
def test_recorded_outputs_of_the_published_model(labelling, all_masks, variant):
    """Two calls of the ONNX decoder are the two passes of the published implementation."""
    record = read_json('vit_b_predictions.json')[variant][0]
    item = frame(record['file_name'], 1024, record['prompts'])
    sample = item['data_samples']
    pixels = item['inputs'].numpy()[::-1].transpose(1, 2, 0)
    (embedding,) = run(labelling / 'UltraSam.encoder.onnx', input_image=pixels).values()
    (prompt,) = sample.gt_instances.prompts
    # prompts are recorded from the corner of the first pixel, the decoder takes them from its centre
    given = (
        dict(box=prompt.box - 0.5)
        if prompt.box is not None
        else dict(points=prompt.points - 0.5, labels=prompt.point_labels)
    )
    first = run(all_masks, **decoder_inputs(embedding, **given))['low_res_masks'][:, 0]
    if prompt.is_single_click:
        masks = masks_at_image_size(
            torch.from_numpy(first),
            input_size=1024,
            resized_hw=sample.img_shape,
            original_hw=sample.ori_shape,
            upsampling='binary',
        )
        given = dict(box=boxes_of_masks(masks)[0].numpy() * np.tile(sample.scale_factor, 2) - 0.5)
    second = run(all_masks, **decoder_inputs(embedding, **given, mask=first))
    best = 1 + int(second['iou_predictions'][0, 1:].argmax())
    with np.load(SHARED / 'golden' / 'vit_b_logits.npz') as recorded:
        assert relative_error(embedding[0, ::8, ::8, ::8], recorded['vit_b_embedding_every_8th']) < 2e-4
        assert relative_error(second['low_res_masks'][:, [best]], recorded[variant]) < 2e-4
    assert second['iou_predictions'][0, best] == pytest.approx(record['scores'][0], abs=1e-4)


@pytest.mark.parametrize('count', [1, 3, 50])
@pytest.mark.parametrize('with_box', [False, True])
def test_any_number_of_prompts(all_masks, inferencer, count, with_box):
    given = some_points(count, (700, 1024), seed=count) | (dict(box=BOX) if with_box else {})
    embedding = inferencer._encoded.embedding[None]
    logits, iou = model_answer(inferencer.model, embedding, **given)
    found = run(all_masks, **decoder_inputs(embedding, **given, size_hw=(700, 1024)))
    assert difference(found['low_res_masks'][0], logits) < 1e-3
    assert difference(found['iou_predictions'][0], iou) < 1e-3


@pytest.mark.parametrize('size_hw', [(1100, 640), (800, 800), (540, 960)])
def test_labelling_tool(labelling, inferencer, size_hw):
    image = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), np.uint8)
    entries = dict(encoder_model_path='UltraSam.encoder.onnx', decoder_model_path='UltraSam.decoder.onnx')
    click = dict(type='point', data=[0.4 * size_hw[1], 0.6 * size_hw[0]], label=1)
    mask, logits, canvas, coords = ask(labelling, entries, image, [click])
    answer = inferencer(canvas, ObjectPrompt(points_xy=coords), refinements=0)
    assert difference(logits, answer.logits[0]) < 1e-3
    assert ((mask > 0) ^ answer.masks[0]).mean() < 1e-3


@pytest.fixture(scope='module')
def cvat(published) -> Path:
    out = published.parent / 'cvat'
    export_checkpoint(published, out, 'cvat')
    return out


@pytest.fixture(scope='module')
def predictor(cvat, picture):
    """Segment Anything from its registry, which loads strictly, on the image."""
    library = pytest.importorskip('segment_anything')
    sam = library.sam_model_registry['vit_b'](checkpoint=str(cvat / 'UltraSam.sam.pth'))
    predictor = library.SamPredictor(sam.eval())
    predictor.set_image(picture)
    return predictor


@pytest.mark.parametrize('prompt', PROMPTS)
def test_segment_anything(predictor, inferencer, prompt):
    given = PROMPTS[prompt]
    masks, scores, logits = predictor.predict(
        point_coords=given.get('points'),
        point_labels=given.get('labels'),
        box=None if 'box' not in given else np.array(given['box']),
        multimask_output=True,
    )
    ours = inferencer.predict(**given, **SINGLE_PASS)
    assert difference(logits, ours.logits) < 1e-4
    assert difference(scores, ours.scores) < 1e-4
    assert (masks ^ ours.masks).mean() < 1e-4


def test_cvat_server_and_browser(cvat, predictor, inferencer):
    """The embedding comes from the server's segment-anything, the mask from the browser's decoder."""
    embedding = predictor.get_image_embedding().numpy().astype('<f4')
    assert embedding.shape == (1, 256, 64, 64)
    found = run(cvat / 'decoder.onnx', **decoder_inputs(embedding, **PROMPTS['point'], size_hw=(700, 1024)))
    ours = inferencer.predict(**PROMPTS['point'], refinements=0)
    left, top, right, bottom = (int(found[name][0]) for name in ('xtl', 'ytl', 'xbr', 'ybr'))
    mask = np.zeros((700, 1024), bool)
    mask[top : bottom + 1, left : right + 1] = found['masks'][0, 0] > 0
    assert (mask ^ ours.masks[0]).mean() < 1e-4


@pytest.fixture(scope='module')
def transformers_model(published):
    transformers = pytest.importorskip('transformers')
    out = published.parent / 'transformers'
    export_checkpoint(published, out, 'transformers')
    model, info = transformers.SamModel.from_pretrained(out, output_loading_info=True)
    assert not any(info[key] for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys'))
    return model.eval(), transformers.SamProcessor.from_pretrained(out)


@torch.no_grad()
@pytest.mark.parametrize('prompt', PROMPTS)
def test_transformers(transformers_model, inferencer, picture, prompt):
    model, processor = transformers_model
    given = PROMPTS[prompt]
    options = {}
    if 'points' in given:
        options |= dict(input_points=[[given['points'].tolist()]], input_labels=[[given['labels'].tolist()]])
    if 'box' in given:
        options['input_boxes'] = [[list(given['box'])]]
    inputs = processor(picture, return_tensors='pt', **options)
    pixels = inputs.pop('pixel_values')
    if not hasattr(model, 'kept_embedding'):
        model.kept_embedding = model.get_image_embeddings(pixels)
    output = model(**inputs, image_embeddings=model.kept_embedding, multimask_output=True)
    ours = inferencer.predict(**given, **SINGLE_PASS)
    assert difference(output.pred_masks[0, 0].numpy(), ours.logits) < 1e-4
    assert difference(output.iou_scores[0, 0].numpy(), ours.scores) < 1e-4
