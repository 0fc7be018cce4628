"""Exports under other names load strictly into the code they are for, and answer there as our single pass does."""

from __future__ import annotations

import copy
import json
from functools import partial

import numpy as np
import pytest
import torch

from tests.checkpoints.export.conftest import save_tiny
from tests.checkpoints.export.running import decoder_inputs, difference, some_points
from tests.models.test_properties import SIZE, TINY
from ultrasam import UltraSamInferencer
from ultrasam.errors import CheckpointError
from ultrasam.export import export_checkpoint
from ultrasam.export.source import open_source

BOX = (20.0, 15.0, 90.0, 70.0)
PROMPTS = {
    'point': some_points(1),
    'points': some_points(3, seed=1),
    'box': dict(box=BOX),
    'box and points': dict(box=BOX, **some_points(2, seed=2)),
}


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    """An image whose longer side is that of the input: no software resizes it."""
    return np.random.default_rng(0).integers(0, 256, (96, SIZE, 3), np.uint8)


@pytest.fixture(scope='module')
def inferencer(tiny, picture):
    inferencer = UltraSamInferencer(tiny, device='cpu')
    inferencer.set_image(picture)
    return inferencer


def single_pass(inferencer, points=None, labels=None, box=None, mask=None):
    """Logits (3, h, h) and scores (3,) of the three candidates of one pass."""
    answer = inferencer.predict(
        points=points, labels=labels, box=box, mask_logits=mask, refinements=0, all_candidates=True
    )
    return answer.logits, answer.scores, answer.masks


def segment_anything_of(path) -> torch.nn.Module:
    """Segment Anything of the size of the tiny model, with exported weights, strictly loaded."""
    modeling = pytest.importorskip('segment_anything.modeling')
    image_encoder = modeling.ImageEncoderViT(
        img_size=SIZE, patch_size=16, embed_dim=TINY['embed_dims'], depth=TINY['num_layers'],
        num_heads=TINY['num_heads'], mlp_ratio=2, out_chans=256, use_rel_pos=True, window_size=14,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), global_attn_indexes=TINY['global_attn_indexes'],
    )  # fmt: skip
    decoder = modeling.MaskDecoder(
        transformer_dim=256,
        num_multimask_outputs=3,
        transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048),
    )
    sam = modeling.Sam(
        image_encoder=image_encoder,
        prompt_encoder=modeling.PromptEncoder(256, (SIZE // 16,) * 2, (SIZE, SIZE), 16),
        mask_decoder=decoder,
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )
    sam.load_state_dict(torch.load(path, weights_only=True), strict=True)
    return sam.eval()


@pytest.fixture(scope='module')
def sam(tiny, folder):
    out = folder / 'tiny_sam.pth'
    record = export_checkpoint(tiny, out, 'segment-anything')
    assert record['decoder_skip']['folded']
    return segment_anything_of(out)


@pytest.mark.parametrize('with_mask', [False, True])
@pytest.mark.parametrize('prompt', PROMPTS)
def test_predictor_of_segment_anything(sam, inferencer, picture, prompt, with_mask):
    predictor = pytest.importorskip('segment_anything').SamPredictor(sam)
    predictor.set_image(picture)
    given = PROMPTS[prompt]
    mask = single_pass(inferencer, box=BOX)[0][:1] if with_mask else None
    masks, scores, logits = predictor.predict(
        point_coords=given.get('points'),
        point_labels=given.get('labels'),
        box=None if 'box' not in given else np.array(given['box']),
        mask_input=mask,
        multimask_output=True,
    )
    our_logits, our_scores, our_masks = single_pass(inferencer, **given, mask=mask)
    # of logits up to 10; on one thread sums are added in another order, which has given 1.01e-4
    assert difference(logits, our_logits) < 2e-4
    assert difference(scores, our_scores) < 1e-4
    assert (masks ^ our_masks).mean() < 1e-3


def test_unfolded_weights_give_other_masks(sam, inferencer, picture):
    """What the fold is for; the comparison above can fail."""
    unfolded = copy.deepcopy(sam)
    for layer in unfolded.mask_decoder.transformer.layers:
        for parameter in layer.mlp.lin2.parameters():
            parameter.data.mul_(2)
    predictor = pytest.importorskip('segment_anything').SamPredictor(unfolded)
    predictor.set_image(picture)
    _, _, logits = predictor.predict(box=np.array(BOX), multimask_output=True)
    assert difference(logits, single_pass(inferencer, box=BOX)[0]) > 0.05


@pytest.mark.parametrize('single_mask', [True, False])
def test_our_onnx_decoder_is_that_of_segment_anything(sam, inferencer, onnx_folder, single_mask):
    from tests.checkpoints.export.running import run

    reference = pytest.importorskip('segment_anything.utils.onnx').SamOnnxModel(
        sam, return_single_mask=single_mask
    )
    embedding = inferencer._encoded.embedding[None]
    name = 'decoder' if single_mask else 'decoder_all_masks'
    mask = np.random.default_rng(3).normal(size=(1, 32, 32))
    for size_hw in ((96, 128), (300, 130), (77, 77)):
        for given in (*PROMPTS.values(), dict(box=BOX, mask=mask), dict(box=BOX, pad=True)):
            inputs = decoder_inputs(embedding, **given, size_hw=size_hw)
            found = run(onnx_folder / f'tiny.{name}.onnx', **inputs)
            expected = reference(**{key: torch.from_numpy(value) for key, value in inputs.items()})
            for value, reference_value in zip(found.values(), expected, strict=True):
                assert difference(value, reference_value.numpy()) < 1e-3


@pytest.mark.parametrize('prompt', PROMPTS)
def test_transformers(tiny, inferencer, picture, prompt, folder):
    transformers = pytest.importorskip('transformers')
    pytest.importorskip('safetensors')
    out = folder / 'transformers'
    if not out.exists():
        export_checkpoint(tiny, out, 'transformers')
    model, info = transformers.SamModel.from_pretrained(out, output_loading_info=True)
    assert not any(info[key] for key in ('missing_keys', 'unexpected_keys', 'mismatched_keys'))
    assert model.config.mask_decoder_config.layer_norm_eps == 1e-5
    processor = transformers.SamProcessor.from_pretrained(out)
    given = PROMPTS[prompt]
    options = {}
    if 'points' in given:
        options |= dict(input_points=[[given['points'].tolist()]], input_labels=[[given['labels'].tolist()]])
    if 'box' in given:
        options['input_boxes'] = [[list(given['box'])]]
    inputs = processor(picture, return_tensors='pt', **options)
    with torch.no_grad():
        output = model.eval()(**inputs, multimask_output=True)
    logits, scores, masks = single_pass(inferencer, **given)
    assert difference(output.pred_masks[0, 0].numpy(), logits) < 1e-4
    assert difference(output.iou_scores[0, 0].numpy(), scores) < 1e-4
    (theirs,) = processor.post_process_masks(
        output.pred_masks, inputs['original_sizes'], inputs['reshaped_input_sizes']
    )
    assert (theirs[0].numpy() ^ masks).mean() < 1e-3


def test_transformers_resizes_as_the_model_wants(tiny, folder):
    transformers = pytest.importorskip('transformers')
    out = folder / 'transformers_sizes'
    export_checkpoint(tiny, out, 'transformers')
    processor = transformers.SamProcessor.from_pretrained(out)
    inputs = processor(np.zeros((300, 200, 3), np.uint8), input_points=[[[100, 150]]], return_tensors='pt')
    assert inputs['pixel_values'].shape == (1, 3, SIZE, SIZE)
    assert inputs['reshaped_input_sizes'].tolist() == [[128, 85]]
    assert inputs['input_points'].flatten().tolist() == pytest.approx([42.5, 64.0])


def test_fold_is_measured_and_recorded(tiny, tmp_path):
    record = export_checkpoint(tiny, tmp_path / 'sam.pth', 'segment-anything')
    measured = record['decoder_skip']['largest_difference']
    assert 0 < measured['mask_logits'] < 1e-4 < 0.1 < measured['largest_mask_logit']
    assert 0 < measured['predicted_iou'] < 1e-4


def test_single_skip_is_left_as_it_is(folder, tmp_path):
    source = save_tiny(
        tmp_path / 'single.pth', note=dict(mlp_skip='single'), **{'decoder.mlp_skip': 'single'}
    )
    record = export_checkpoint(source, tmp_path / 'sam.pth', 'segment-anything')
    assert record['decoder_skip'] == {'skip': 'single', 'folded': False}
    ours = torch.load(source, weights_only=True)['state_dict']['decoder.layers.1.mlp.layers.1.weight']
    theirs = torch.load(tmp_path / 'sam.pth', weights_only=True)
    assert torch.equal(theirs['mask_decoder.transformer.layers.1.mlp.lin2.weight'], ours)


def test_file_holds_plain_tensors_of_their_own(tiny, tmp_path):
    export_checkpoint(tiny, tmp_path / 'sam.pth', 'segment-anything')
    state = torch.load(tmp_path / 'sam.pth', weights_only=True)
    assert type(state) is dict
    assert {type(tensor) for tensor in state.values()} == {torch.Tensor}
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    for name, tensor in state.items():
        assert tensor.untyped_storage().nbytes() == tensor.numel() * 4, name


def test_no_mask_prompts_means_that_any_changes_nothing(one_pass, picture, tmp_path):
    record = export_checkpoint(one_pass, tmp_path / 'sam.pth', 'segment-anything')
    assert any('mask prompts' in note for note in record['notes'])
    predictor = pytest.importorskip('segment_anything').SamPredictor(
        segment_anything_of(tmp_path / 'sam.pth')
    )
    predictor.set_image(picture)
    ours = UltraSamInferencer(one_pass, device='cpu')
    ours.set_image(picture)
    expected = single_pass(ours, box=BOX)[0]
    for mask in (None, np.full((1, 32, 32), 5.0, np.float32)):
        _, _, logits = predictor.predict(box=np.array(BOX), mask_input=mask, multimask_output=True)
        assert difference(logits, expected) < 1e-4


@pytest.mark.parametrize('target', ['segment-anything', 'transformers'])
def test_ellipse_cannot_be_expressed(ellipse, tmp_path, target):
    with pytest.raises(CheckpointError, match=r'ellipse.*ONNX'):
        export_checkpoint(ellipse, tmp_path / 'out', target)
    assert not list(tmp_path.iterdir())


def test_size_that_the_registry_lacks_is_said(tiny, tmp_path):
    record = export_checkpoint(tiny, tmp_path / 'sam.pth', 'segment-anything')
    assert record['settings'] == {'registry_name': None}
    assert 'sam_model_registry' in record['notes'][0]
    assert record['model']['image_encoder']['embed_dims'] == TINY['embed_dims']


def test_other_normalisation(tiny, tmp_path):
    transformers = pytest.importorskip('transformers')
    stored = torch.load(tiny, weights_only=True)
    stored['meta']['ultrasam'] |= dict(pixel_mean=[51.0, 102.0, 153.0], pixel_std=[102.0, 51.0, 25.5])
    torch.save(stored, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='normalised'):
        export_checkpoint(tmp_path / 'other.pth', tmp_path / 'sam.pth', 'segment-anything')
    export_checkpoint(tmp_path / 'other.pth', tmp_path / 'hf', 'transformers')
    processor = transformers.SamProcessor.from_pretrained(tmp_path / 'hf')
    assert processor.image_processor.image_mean == pytest.approx([0.2, 0.4, 0.6])
    assert processor.image_processor.image_std == pytest.approx([0.4, 0.2, 0.1])


def test_min_max_is_refused_where_it_cannot_be_done(tmp_path):
    source = save_tiny(tmp_path / 'medical.pth', note=dict(preprocessing='min_max'))
    with pytest.raises(CheckpointError, match=r'min_max.*ONNX'):
        export_checkpoint(source, tmp_path / 'hf', 'transformers')
    record = export_checkpoint(source, tmp_path / 'sam.pth', 'segment-anything')
    assert any('MedSAM' in note for note in record['notes'])
    assert 'mean' not in record['preprocessing']


def test_safetensors_is_the_same_model(tiny, inferencer, picture, tmp_path):
    pytest.importorskip('safetensors')
    out = tmp_path / 'tiny.safetensors'
    export_checkpoint(tiny, out, 'safetensors')
    again = open_source(out)
    assert again.card.note() == open_source(tiny).card.note()
    stored = torch.load(tiny, weights_only=True)['state_dict']
    assert set(again.state_dict) == set(stored)
    assert all(torch.equal(tensor, stored[name]) for name, tensor in again.state_dict.items())
    ours = UltraSamInferencer(out, device='cpu')
    ours.set_image(picture)
    assert np.array_equal(ours.predict(box=BOX).logits, inferencer.predict(box=BOX).logits)


def test_safetensors_keeps_float16(tiny, tmp_path):
    safetensors = pytest.importorskip('safetensors')
    stored = torch.load(tiny, weights_only=True)
    half = {name: tensor.half() for name, tensor in stored['state_dict'].items()}
    torch.save(dict(stored, state_dict=half), tmp_path / 'half.pth')
    export_checkpoint(tmp_path / 'half.pth', tmp_path / 'half.safetensors', 'safetensors')
    with safetensors.safe_open(str(tmp_path / 'half.safetensors'), 'pt') as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
        assert json.loads(file.metadata()['ultrasam'])['licence'] == 'Apache-2.0'
