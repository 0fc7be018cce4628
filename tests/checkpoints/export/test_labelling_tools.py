"""Exports for labelling tools, called as those tools call them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from tests.checkpoints.export.running import decoder_inputs, difference, model_answer, run
from ultrasam import UltraSamInferencer
from ultrasam.errors import CheckpointError
from ultrasam.export import export_checkpoint
from ultrasam.export.graphs import file_stem
from ultrasam.export.onnx_files import cropping_decoder, decoder, write_graph
from ultrasam.export.source import open_source
from ultrasam.predict import ObjectPrompt

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

CANVAS_HW = (684, 1024)
BOX = (20.0, 15.0, 90.0, 70.0)


@pytest.fixture(scope='module')
def labelling(tiny_1024):
    """The tool's folder, what its YAML file says, and our inferencer."""
    out = tiny_1024.parent / 'labelling'
    export_checkpoint(tiny_1024, out, 'x-anylabeling')
    entries = yaml.safe_load((out / 'tiny_1024.yaml').read_text())
    return out, entries, UltraSamInferencer(tiny_1024, device='cpu')


def on_canvas(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The image at the top left of a black canvas of constant size, and its scale."""
    height, width = image.shape[:2]
    scale = min(CANVAS_HW[1] / width, CANVAS_HW[0] / height)
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    return cv2.warpAffine(image, matrix, CANVAS_HW[::-1], flags=cv2.INTER_LINEAR), scale


def ask(folder, entries, image, marks):
    """Mask logits of the canvas, and the inputs of the decoder, as the tool makes them from its marks."""
    canvas, scale = on_canvas(image)
    (embedding,) = run(folder / entries['encoder_model_path'], input_image=canvas.astype(np.float32)).values()
    points, labels = [], []
    for mark in marks:
        if mark['type'] == 'point':
            points.append(mark['data'])
            labels.append(mark['label'])
        else:
            points += [mark['data'][:2], mark['data'][2:]]
            labels += [2, 3]
    # the tool appends one point of no place, whatever was marked
    coords = np.concatenate([np.float32(points) * scale, np.zeros((1, 2), np.float32)])
    answer = run(
        folder / entries['decoder_model_path'],
        image_embeddings=embedding,
        point_coords=coords[None],
        point_labels=np.float32([[*labels, -1]]),
        mask_input=np.zeros((1, 1, 256, 256), np.float32),
        has_mask_input=np.zeros(1, np.float32),
        orig_im_size=np.float32(CANVAS_HW),
    )
    masks, _, _ = answer.values()
    return masks[0][0], answer['low_res_masks'][0, 0], canvas, coords[:-1]


@pytest.mark.parametrize('size_hw', [(300, 500), (900, 600), (684, 1024)])
def test_one_click(labelling, size_hw):
    folder, entries, inferencer = labelling
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    click = dict(type='point', data=[0.4 * size_hw[1], 0.6 * size_hw[0]], label=1)
    mask, logits, canvas, coords = ask(folder, entries, image, [click])
    ours = inferencer(canvas, ObjectPrompt(points_xy=coords), refinements=0)
    assert difference(logits, ours.logits[0]) < 1e-3
    assert mask.shape == CANVAS_HW
    assert ((mask > 0) ^ ours.masks[0]).mean() < 1e-3


@pytest.mark.parametrize('kind', ['box', 'box and click', 'two clicks'])
def test_several_tokens(labelling, kind):
    """With three tokens, padding included, the tool shows the single mask; padding beside a box changes nothing."""
    folder, entries, inferencer = labelling
    image = np.random.default_rng(1).integers(0, 256, (500, 700, 3), np.uint8)
    box = dict(type='rectangle', data=[100.0, 120.0, 400.0, 330.0])
    clicks = [
        dict(type='point', data=[250.0, 200.0], label=1),
        dict(type='point', data=[50.0, 60.0], label=0),
    ]
    marks = {'box': [box], 'box and click': [clicks[0], box], 'two clicks': clicks}[kind]
    mask, logits, canvas, coords = ask(folder, entries, image, marks)
    given = dict(
        points=[c for c, mark in zip(coords, marks, strict=False) if mark['type'] == 'point'],
        labels=[mark['label'] for mark in marks if mark['type'] == 'point'],
        box=None if kind == 'two clicks' else coords[-2:].ravel(),
    )
    all_logits, _ = model_answer(inferencer.model, inferencer.encode(canvas).embedding[None], **given)
    assert difference(logits, all_logits[0]) < 1e-3
    assert np.isfinite(mask).all()


def test_yaml_has_what_the_tool_reads(labelling):
    folder, entries, _ = labelling
    assert entries['type'] == 'segment_anything'
    assert re.fullmatch(r'[A-Za-z0-9._-]+', entries['name'])
    assert (entries['input_size'], entries['max_width'], entries['max_height']) == (1024, 1024, 682)
    assert entries['display_name']
    for key in ('encoder_model_path', 'decoder_model_path'):
        assert (folder / entries[key]).is_file()
    assert {path.name for path in folder.iterdir()} == {
        'export.json',
        'tiny_1024.yaml',
        entries['encoder_model_path'],
        entries['decoder_model_path'],
    }


@pytest.mark.parametrize('target', ['x-anylabeling', 'cvat'])
def test_other_input_sizes_are_refused(tiny, tmp_path, target):
    with pytest.raises(CheckpointError, match=r'128 px.*1024'):
        export_checkpoint(tiny, tmp_path / 'out', target)
    assert not list(tmp_path.iterdir())


def test_cvat_needs_an_encoder_that_its_server_can_build(tiny_1024, tmp_path):
    with pytest.raises(CheckpointError, match='sam_model_registry'):
        export_checkpoint(tiny_1024, tmp_path / 'out', 'cvat')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'name, expected', [('my model (β).pth', 'my_model_'), ('UltraSam.pth', 'UltraSam'), ('β.pth', '_')]
)
def test_names_that_the_tool_takes(tiny, name, expected):
    assert file_stem(replace(open_source(tiny), path=Path(name))) == expected


def test_padding_beside_a_box_is_left_out(tiny, tmp_path):
    source = open_source(tiny)
    path = tmp_path / 'decoder.onnx'
    graph = decoder(source, single_mask=False, drop_padding_beside_box=True)
    write_graph(graph, path, source, opset=17)
    embedding = torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(0)).numpy()
    click = dict(points=[(30, 40)], labels=[1])
    logits = {}
    for name, given in {'box': dict(box=BOX), 'both': dict(box=BOX, **click), 'click': click}.items():
        answers = [run(path, **decoder_inputs(embedding, **given, pad=pad)) for pad in (True, False)]
        logits[name] = [answer['low_res_masks'][0] for answer in answers]
        expected, _ = model_answer(source.model, embedding, **given)
        assert difference(logits[name][0], expected) < 1e-3
    assert difference(*logits['box']) < 1e-6
    assert difference(*logits['both']) < 1e-6
    assert difference(*logits['click']) > 1e-3


@pytest.fixture(scope='module')
def cropping(tiny):
    source = open_source(tiny)
    path = tiny.parent / 'cropping.onnx'
    write_graph(cropping_decoder(source), path, source, opset=17)
    return path


@pytest.mark.parametrize('size_hw', [(300, 130), (128, 128), (90, 200)])
def test_mask_cut_to_its_box(cropping, onnx_folder, size_hw):
    """What the browser side of CVAT reads: the corners, both inclusive, and the mask between them."""
    embedding = torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(1)).numpy()
    inputs = decoder_inputs(embedding, points=[(30, 40), (60, 70)], labels=[1, 1], size_hw=size_hw)
    found = run(cropping, **inputs)
    whole = run(onnx_folder / 'tiny.decoder.onnx', **inputs)
    assert list(found) == ['xtl', 'ytl', 'xbr', 'ybr', 'masks', 'low_res_masks']
    left, top, right, bottom = (int(found[name][0]) for name in ('xtl', 'ytl', 'xbr', 'ybr'))
    rows, columns = np.nonzero(whole['masks'][0, 0] > 0)
    assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max(), rows.max())
    assert difference(found['masks'], whole['masks'][:, :, top : bottom + 1, left : right + 1]) < 1e-5
    assert difference(found['low_res_masks'], whole['low_res_masks']) < 1e-5


def test_empty_mask_has_a_box_of_one_pixel(tiny, tmp_path):
    source = open_source(tiny)
    for mlp in source.model.mask_decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight.data.zero_()
        mlp.layers[-1].bias.data.zero_()
    write_graph(cropping_decoder(source), tmp_path / 'decoder.onnx', source, opset=17)
    embedding = np.zeros((1, 256, 8, 8), np.float32)
    found = run(tmp_path / 'decoder.onnx', **decoder_inputs(embedding, box=BOX))
    assert [int(found[name][0]) for name in ('xtl', 'ytl', 'xbr', 'ybr')] == [0, 0, 0, 0]
    assert found['masks'].shape == (1, 1, 1, 1)
    assert found['masks'].item() <= 0
