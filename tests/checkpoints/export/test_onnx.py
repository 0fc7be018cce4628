"""ONNX files answer what the model answers, whatever the number of prompts and the shape of the image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from mmengine.utils import digit_version

from tests.checkpoints.export.conftest import save_tiny
from tests.checkpoints.export.running import (
    decoder_inputs,
    difference,
    model_answer,
    run,
    session,
    some_points,
    write_decoder,
)
from tests.golden import ROOT
from ultrasam import UltraSamInferencer
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.export import export_checkpoint
from ultrasam.export.onnx_files import pixel_encoder, write_graph
from ultrasam.export.source import open_source
from ultrasam.predict import EncodedImage
from ultrasam.predict.geometry import ImageGeometry
from ultrasam.structures import ObjectPrompt

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

# portrait, square, landscape, and one whose resized side is rounded up
SHAPES = [(300, 130), (128, 128), (90, 200), (55, 301)]
BOX = (20.0, 15.0, 90.0, 70.0)
PROMPTS = {
    '1 point': some_points(1),
    '3 points': some_points(3, seed=1),
    '50 points': some_points(50, seed=2),
    'box': dict(box=BOX),
    'box and 1 point': dict(box=BOX, **some_points(1, seed=3)),
    'box and 50 points': dict(box=BOX, **some_points(50, seed=4)),
    '1 point and mask': dict(some_points(1, seed=5), mask=np.random.default_rng(0).normal(size=(1, 32, 32))),
    'box and mask': dict(box=BOX, mask=np.random.default_rng(1).normal(size=(1, 32, 32))),
}


@pytest.fixture(scope='module')
def model(tiny):
    return open_source(tiny).model


@pytest.fixture(scope='module')
def embedding(model):
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.encode(pixels).numpy()


@pytest.mark.parametrize('size_hw', [(128, 60), (128, 128), (100, 128), (1, 128)])
def test_encoder_takes_plain_pixels_of_any_shape(onnx_folder, tiny, size_hw):
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    inferencer = UltraSamInferencer(tiny, device='cpu')
    expected = inferencer.encode(image).embedding[None]
    (found,) = run(onnx_folder / 'tiny.encoder.onnx', input_image=image).values()
    assert difference(found, expected) < 1e-4


def test_min_max_is_in_the_graph(tmp_path):
    source = save_tiny(tmp_path / 'medical.pth', note=dict(preprocessing='min_max'))
    opened = open_source(source)
    write_graph(pixel_encoder(opened), tmp_path / 'encoder.onnx', opened, opset=17)
    image = np.random.default_rng(0).integers(30, 180, (100, 128, 3), np.uint8)
    expected = UltraSamInferencer(source, device='cpu').encode(image).embedding[None]
    (found,) = run(tmp_path / 'encoder.onnx', input_image=image).values()
    assert difference(found, expected) < 1e-4


def test_plain_encoder(onnx_folder, model):
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    (found,) = run(onnx_folder / 'tiny.encoder_plain.onnx', input_image=pixels.numpy()).values()
    with torch.no_grad():
        assert difference(found, model.encode(pixels).numpy()) < 1e-4


@pytest.mark.parametrize('prompt', PROMPTS)
def test_all_masks(onnx_folder, model, embedding, prompt):
    logits, iou = model_answer(model, embedding, **PROMPTS[prompt])
    found = run(onnx_folder / 'tiny.decoder_all_masks.onnx', **decoder_inputs(embedding, **PROMPTS[prompt]))
    assert difference(found['low_res_masks'][0], logits) < 1e-3
    assert difference(found['iou_predictions'][0], iou) < 1e-3
    assert found['masks'].shape == (1, 4, 96, 128)


@pytest.mark.parametrize('prompt', PROMPTS)
def test_choice_of_one_mask(onnx_folder, model, embedding, prompt):
    logits, iou = model_answer(model, embedding, **PROMPTS[prompt])
    inputs = decoder_inputs(embedding, **PROMPTS[prompt])
    lone = inputs['point_labels'].shape[1] <= 2
    best = 1 + int(iou[1:].argmax()) if lone else 0
    found = run(onnx_folder / 'tiny.decoder.onnx', **inputs)
    assert difference(found['low_res_masks'][0, 0], logits[best]) < 1e-3
    assert found['iou_predictions'][0].tolist() == pytest.approx([iou[best]], abs=1e-3)
    assert lone == (prompt in ('1 point', 'box', '1 point and mask', 'box and mask'))


@pytest.mark.parametrize('size_hw', SHAPES)
def test_masks_at_the_size_of_the_image(onnx_folder, embedding, size_hw):
    sam = pytest.importorskip('segment_anything').modeling.Sam
    resize = pytest.importorskip('segment_anything.utils.transforms').ResizeLongestSide
    found = run(
        onnx_folder / 'tiny.decoder_all_masks.onnx',
        **decoder_inputs(embedding, **some_points(2, seed=6), size_hw=size_hw),
    )

    class Sized:
        class image_encoder:  # noqa: N801
            img_size = 128

    expected = sam.postprocess_masks(
        Sized,
        torch.from_numpy(found['low_res_masks']),
        input_size=resize.get_preprocess_shape(*size_hw, 128),
        original_size=size_hw,
    )
    assert difference(found['masks'], expected.numpy()) < 1e-4


def test_interface_is_that_of_segment_anything(onnx_folder):
    graph = session(onnx_folder / 'tiny.decoder.onnx')
    assert [(i.name, i.shape) for i in graph.get_inputs()] == [
        ('image_embeddings', [1, 256, 8, 8]),
        ('point_coords', [1, 'num_points', 2]),
        ('point_labels', [1, 'num_points']),
        ('mask_input', [1, 1, 32, 32]),
        ('has_mask_input', [1]),
        ('orig_im_size', [2]),
    ]
    assert [o.name for o in graph.get_outputs()] == ['masks', 'iou_predictions', 'low_res_masks']
    assert {i.type for i in [*graph.get_inputs(), *graph.get_outputs()]} == {'tensor(float)'}
    (image,) = session(onnx_folder / 'tiny.encoder.onnx').get_inputs()
    assert (image.name, image.shape) == ('input_image', ['image_height', 'image_width', 3])


def test_unknown_labels_stop_the_runtime(onnx_folder, embedding):
    inputs = decoder_inputs(embedding, **some_points(2))
    for label in (4.0, -2.0):
        inputs['point_labels'][0, 0] = label
        with pytest.raises(Exception, match='out of data bounds'):
            run(onnx_folder / 'tiny.decoder.onnx', **inputs)


def test_files_tell_where_they_are_from(onnx_folder, tiny):
    record = json.loads((onnx_folder / 'export.json').read_text())
    for path in onnx_folder.glob('*.onnx'):
        graph = onnx.load(str(path))
        properties = {entry.key: entry.value for entry in graph.metadata_props}
        assert properties['source_sha256'] == record['source']['sha256']
        assert properties['licence'] == 'Apache-2.0'
        assert json.loads(properties['note'])['mlp_skip'] == 'doubled'
        assert 'two passes' in properties['passes']
        assert [entry.version for entry in graph.opset_import if not entry.domain] == [17]
    assert record['settings'] == {'opset': 17}
    assert record['decoder_skip'] == {'skip': 'doubled', 'folded': False}
    assert record['interface']['tiny.decoder.onnx']['inputs']['point_coords'] == [1, 'num_points', 2]


def test_same_checkpoint_same_bytes(onnx_folder, tiny, tmp_path):
    path = write_decoder(tiny, tmp_path / 'decoder.onnx')
    assert path.read_bytes() == (onnx_folder / 'tiny.decoder_all_masks.onnx').read_bytes()


@pytest.fixture(scope='module')
def ellipse_decoder(ellipse):
    return write_decoder(ellipse, ellipse.with_suffix('.onnx'))


@pytest.mark.parametrize('prompt', ['3 points', 'box', 'box and 1 point', 'box and mask'])
def test_ellipse_of_a_box_is_in_the_graph(ellipse, ellipse_decoder, tiny, embedding, prompt):
    found = run(ellipse_decoder, **decoder_inputs(embedding, **PROMPTS[prompt]))['low_res_masks'][0]
    logits, _ = model_answer(open_source(ellipse).model, embedding, **PROMPTS[prompt])
    without, _ = model_answer(open_source(tiny).model, embedding, **PROMPTS[prompt])
    assert difference(found, logits) < 1e-3
    assert (difference(found, without) > 1e-2) == (prompt in ('box', 'box and 1 point'))


def test_model_without_mask_prompts_ignores_them(one_pass, embedding, tmp_path):
    path = write_decoder(one_pass, tmp_path / 'decoder.onnx')
    plain = run(path, **decoder_inputs(embedding, box=BOX))
    masked = run(path, **decoder_inputs(embedding, box=BOX, mask=np.ones((1, 32, 32))))
    logits, _ = model_answer(open_source(one_pass).model, embedding, box=BOX)
    assert difference(plain['low_res_masks'][0], logits) < 1e-3
    assert np.array_equal(plain['low_res_masks'], masked['low_res_masks'])
    properties = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert 'in one pass' in properties['passes']


@pytest.mark.parametrize('opset', [14, 20])
def test_other_opsets(tiny, embedding, tmp_path, opset):
    if opset > 17 and digit_version(torch.__version__) < digit_version('2.2'):
        with pytest.raises(ConfigError, match=f'opset {opset}: torch 2.1.*use 17'):
            write_decoder(tiny, tmp_path / 'decoder.onnx', opset=opset)
        return
    path = write_decoder(tiny, tmp_path / 'decoder.onnx', opset=opset)
    found = run(path, **decoder_inputs(embedding, **PROMPTS['box']))
    logits, _ = model_answer(open_source(tiny).model, embedding, **PROMPTS['box'])
    assert difference(found['low_res_masks'][0], logits) < 1e-3


@pytest.mark.parametrize('opset', [13, 21, 0])
def test_impossible_opset(tiny, tmp_path, opset):
    with pytest.raises(ConfigError, match='opset'):
        export_checkpoint(tiny, tmp_path / 'onnx', 'onnx', opset=opset)
    assert not list(tmp_path.iterdir())


def test_opset_is_for_onnx_alone(tiny, tmp_path):
    with pytest.raises(ConfigError, match='no ONNX'):
        export_checkpoint(tiny, tmp_path / 'sam.pth', 'segment-anything', opset=17)


def test_two_calls_make_the_answer_of_the_model(onnx_folder, tiny, model, embedding):
    """The recipe of the record: single mask, fed back, then the best of three."""
    path = onnx_folder / 'tiny.decoder_all_masks.onnx'
    first = run(path, **decoder_inputs(embedding, box=BOX))['low_res_masks'][:, 0]
    second = run(path, **decoder_inputs(embedding, box=BOX, mask=first))
    best = 1 + int(second['iou_predictions'][0, 1:].argmax())
    inferencer = UltraSamInferencer(tiny, device='cpu')
    encoded = EncodedImage(embedding[0], ImageGeometry.of_image((128, 128), 128))
    answer = inferencer.decode(encoded, ObjectPrompt(box_xyxy=BOX))
    assert difference(second['low_res_masks'][0, best], answer.logits[0]) < 1e-3
    assert second['iou_predictions'][0, best] == pytest.approx(float(answer.scores[0]), abs=1e-3)


def test_shipped_checkpoint(tmp_path):
    source = open_source(ROOT / 'weights/ultrasam_nano_256.pth')
    write_graph(pixel_encoder(source), tmp_path / 'encoder.onnx', source, opset=17)
    decoder = write_decoder(source.path, tmp_path / 'decoder.onnx')
    inferencer = UltraSamInferencer(device='cpu')
    image = np.random.default_rng(0).integers(0, 256, (192, 256, 3), np.uint8)
    inferencer.set_image(image)
    (embedding,) = run(tmp_path / 'encoder.onnx', input_image=image).values()
    found = run(decoder, **decoder_inputs(embedding, box=(40, 30, 150, 120), size_hw=(192, 256)))
    answer = inferencer.predict(box=(40, 30, 150, 120), refinements=0, all_candidates=True)
    assert difference(found['low_res_masks'][0, 1:], answer.logits) < 1e-3
    assert np.array_equal(found['masks'][0, 1:] > 0, answer.masks)


def test_too_large_for_one_file(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr('ultrasam.export.onnx_files._LARGEST_FILE', 1000)
    with pytest.raises(CheckpointError, match='do not fit one ONNX file'):
        export_checkpoint(tiny, tmp_path / 'onnx', 'onnx')
    assert not list(tmp_path.iterdir())
