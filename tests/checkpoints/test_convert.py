"""Files of other projects become files of ours, on real files."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

from tests.checkpoints.foreign import (
    SIZE,
    ours_of,
    segment_anything_model,
    transformers_model,
    vit_sam_encoder,
)
from tests.golden import ROOT, needs_golden, read_json, seeded_state_dict
from tests.models.test_properties import tiny_model
from ultrasam import __version__
from ultrasam.checkpoints import load_checkpoint_file, state_dict_of
from ultrasam.checkpoints.folding import fold_doubled_skip, unfold_doubled_skip
from ultrasam.checkpoints.model_card import note_of, read_card
from ultrasam.checkpoints.sources import PROFILES, from_source, to_source
from ultrasam.errors import CheckpointError, OutputError
from ultrasam.export.convert import check_complete, convert_file
from ultrasam.hashing import file_sha256
from ultrasam.models.mask_decoder import MULTI_MASK, SINGLE_MASK
from ultrasam.openmmlab.model_cards import detector_config
from ultrasam.structures import Prompt, PromptBatch

POINTS = torch.tensor([[40.0, 30.0], [61.5, 80.25], [100.0, 20.0]])
BOX = torch.tensor([20.0, 15.0, 90.0, 75.0])
CANDIDATES = {False: SINGLE_MASK, True: MULTI_MASK}


def read_back(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and note of a file of ours."""
    content = load_checkpoint_file(path)
    return dict(state_dict_of(content, path)), note_of(content.get('meta'), str(path))


def same(a: dict, b: dict) -> bool:
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope='module')
def sam() -> torch.nn.Module:
    pytest.importorskip('segment_anything')
    return segment_anything_model()


@pytest.fixture
def sam_file(sam, tmp_path: Path) -> Path:
    path = tmp_path / 'sam.pth'
    torch.save(sam.state_dict(), path)
    return path


@pytest.fixture(scope='module')
def hf() -> torch.nn.Module:
    pytest.importorskip('transformers')
    return transformers_model()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_segment_anything_there_and_back(sam, sam_file, tmp_path, suffix):
    if suffix == '.safetensors':
        pytest.importorskip('safetensors')
    out = tmp_path / f'ours{suffix}'
    done = convert_file(sam_file, out, profile='sam')
    weights, note = read_back(out)
    assert same(to_source(weights, 'segment-anything'), dict(sam.state_dict()))
    assert note['mlp_skip'] == 'single'
    assert note['preprocessing'] == 'imagenet'
    assert note['licence'] == 'Apache-2.0'
    assert note['source'] == 'segment-anything'
    assert note['source_sha256'] == file_sha256(sam_file)
    assert note['converted_by'] == f'ultrasam {__version__}'
    assert done.sha256 == file_sha256(out)
    assert done.note == note
    check_complete(weights, note, 'file')


def test_the_record_beside_the_file_accounts_for_every_tensor(sam, sam_file, tmp_path):
    convert_file(sam_file, tmp_path / 'ours.pth')
    record = json.loads((tmp_path / 'ours.pth.json').read_text())
    names = set(sam.state_dict())
    assert record['file'] == 'ours.pth'
    assert record['sha256'] == file_sha256(tmp_path / 'ours.pth')
    assert set(record['keys']['landed']) == names
    assert record['keys']['tensors_read'] == len(names)
    assert record['keys']['values_read'] == record['keys']['values_written']
    assert any('--as medsam' in remark for remark in record['remarks'])


def test_the_file_holds_tensors_and_a_note_and_nothing_else(sam_file, tmp_path):
    convert_file(sam_file, tmp_path / 'ours.pth')
    content = torch.load(tmp_path / 'ours.pth', weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    assert set(content['meta']) == {'ultrasam'}
    assert all(type(value) is str for value in content['meta']['ultrasam'].values())


def test_equal_input_gives_equal_bytes(sam_file, tmp_path):
    first, second = (convert_file(sam_file, tmp_path / f'{i}.pth').sha256 for i in range(2))
    assert first == second


@pytest.mark.parametrize('wrap', ['model', 'state_dict', 'module', 'model and module'])
def test_wrapped_files(sam, tmp_path, wrap):
    weights = dict(sam.state_dict())
    if 'module' in wrap:
        weights = {f'module.{name}': tensor for name, tensor in weights.items()}
    torch.save({wrap.split()[0]: weights} if wrap != 'module' else weights, tmp_path / 'in.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert same(to_source(read_back(tmp_path / 'out.pth')[0], 'segment-anything'), dict(sam.state_dict()))


@torch.no_grad()
@pytest.mark.parametrize('multimask', [False, True])
@pytest.mark.parametrize('kind', ['point', 'points', 'box', 'box and points', 'mask'])
def test_masks_of_the_converted_file_are_those_of_segment_anything(sam, sam_file, tmp_path, kind, multimask):
    out = tmp_path / 'ours.pth'
    convert_file(sam_file, out)
    model = ours_of(*read_back(out))
    points = POINTS[: {'point': 1, 'mask': 1, 'box': 0}.get(kind, 3)]
    labels = [1, 0, 1][: len(points)]
    box = BOX if 'box' in kind else None
    mask = torch.randn(1, 1, SIZE // 4, SIZE // 4) if kind == 'mask' else None
    image = torch.randn(1, 3, SIZE, SIZE)
    embedding = sam.image_encoder(image)
    assert torch.allclose(model.extract_feat(image), embedding, atol=1e-4)
    sparse, dense = sam.prompt_encoder(
        points=(points[None], torch.tensor([labels])) if len(points) else None,
        boxes=None if box is None else box[None],
        masks=mask,
    )
    theirs, their_iou = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    ours, our_iou = decode(model, embedding, points, labels, box, mask, multimask)
    assert theirs.std() > 1e-3
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert torch.allclose(our_iou, their_iou, atol=1e-4)


def decode(model, embedding, points, labels, box, mask, multimask):
    """Our masks; the libraries shift prompts to pixel centres themselves, here the caller does."""
    prompt = Prompt(
        points=points.numpy() + 0.5, point_labels=labels, box=None if box is None else box.numpy() + 0.5
    )
    batch = PromptBatch.from_prompts([[prompt]])
    logits, iou, _ = model.decode(embedding, batch, mask)
    return logits[:, CANDIDATES[multimask]], iou[:, CANDIDATES[multimask]]


@torch.no_grad()
@pytest.mark.parametrize('kind', ['point', 'box', 'mask'])
def test_masks_of_a_converted_folder_are_those_of_transformers(hf, tmp_path, kind):
    hf.save_pretrained(tmp_path / 'folder')
    out = tmp_path / 'ours.safetensors'
    done = convert_file(tmp_path / 'folder', out, profile='sam')
    # the tiny model says 1e-5, as ours has it: nothing to remark
    assert done.remarks == ()
    weights, note = read_back(out)
    assert same(to_source(weights, 'transformers'), dict(hf.state_dict()))
    model = ours_of(weights, note)
    image = torch.randn(1, 3, SIZE, SIZE)
    mask = torch.randn(1, 1, SIZE // 4, SIZE // 4) if kind == 'mask' else None
    prompts = {'input_boxes': BOX[None, None]} if kind == 'box' else {'input_points': POINTS[None, :1, None]}
    theirs = hf(pixel_values=image, input_masks=mask, multimask_output=True, **prompts)
    points, labels, box = (POINTS[:0], [], BOX) if kind == 'box' else (POINTS[:1], [1], None)
    ours, iou = decode(model, model.extract_feat(image), points, labels, box, mask, True)
    assert theirs.pred_masks.std() > 1e-3
    assert torch.allclose(ours, theirs.pred_masks[:, 0], atol=1e-4)
    assert torch.allclose(iou, theirs.iou_scores[:, 0], atol=1e-4)


@pytest.mark.parametrize('layout', ['pytorch_model.bin', 'file alone', 'shards'])
def test_other_layouts_of_transformers(hf, tmp_path, layout):
    folder = tmp_path / 'in'
    if layout == 'shards':
        hf.save_pretrained(folder, max_shard_size='5MB')
        assert (folder / 'model.safetensors.index.json').is_file()
        source = folder
    elif layout == 'file alone':
        folder.mkdir()
        source = folder / 'weights.pth'
        torch.save(hf.state_dict(), source)
    else:
        hf.save_pretrained(folder, safe_serialization=False)
        source = folder
    done = convert_file(source, tmp_path / 'ours.pth', profile='sam')
    assert same(to_source(read_back(tmp_path / 'ours.pth')[0], 'transformers'), dict(hf.state_dict()))
    assert any('no config.json' in remark for remark in done.remarks) == (layout == 'file alone')


def test_settings_of_transformers_are_compared(hf, tmp_path):
    hf.save_pretrained(tmp_path / 'in')
    path = tmp_path / 'in/config.json'
    config = json.loads(path.read_text())
    # left out, it is 1e-6
    config['mask_decoder_config'].pop('layer_norm_eps')
    path.write_text(json.dumps(config))
    done = convert_file(tmp_path / 'in', tmp_path / 'a.pth', profile='sam')
    assert any('layer_norm_eps' in remark and '1e-06' in remark for remark in done.remarks)
    config['mask_decoder_config']['num_attention_heads'] = 4
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match='num_attention_heads 4'):
        convert_file(tmp_path / 'in', tmp_path / 'b.pth')
    assert not (tmp_path / 'b.pth').exists()


def test_pixel_statistics_of_transformers_are_kept(hf, tmp_path):
    hf.save_pretrained(tmp_path / 'in')
    (tmp_path / 'in/preprocessor_config.json').write_text(
        json.dumps({'image_mean': [0.5, 0.5, 0.5], 'image_std': [0.25, 0.25, 0.25]})
    )
    convert_file(tmp_path / 'in', tmp_path / 'a.pth')
    weights, note = read_back(tmp_path / 'a.pth')
    settings = detector_config(read_card(weights, {'ultrasam': note}, 'file'))['data_preprocessor']
    assert settings['mean'] == [127.5] * 3
    assert settings['std'] == [63.75] * 3


@pytest.mark.parametrize(
    'settings', [{'image_mean': 3}, {'rescale_factor': 0}, {'image_std': ['a', 'b', 'c']}]
)
def test_a_preprocessor_of_nonsense_is_refused(hf, tmp_path, settings):
    hf.save_pretrained(tmp_path / 'in')
    (tmp_path / 'in/preprocessor_config.json').write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match='three numbers'):
        convert_file(tmp_path / 'in', tmp_path / 'a.pth')


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
@pytest.mark.parametrize('options', [{}, {'out_channels': 0}])
def test_an_encoder_of_mmpretrain_is_kept_alone(tmp_path, prefix, options):
    pytest.importorskip('mmpretrain')
    encoder = vit_sam_encoder(**options)
    weights = {f'{prefix}{name}': tensor for name, tensor in encoder.state_dict().items()}
    torch.save({'state_dict': weights}, tmp_path / 'in.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', profile='sam')
    converted, note = read_back(tmp_path / 'out.pth')
    assert same(to_source(converted, 'vit-sam'), dict(encoder.state_dict()))
    assert note['kind'] == 'encoder'
    assert 'mlp_skip' not in note
    with pytest.raises(CheckpointError, match='only a part'):
        read_card(converted, {'ultrasam': note}, 'file')


@torch.no_grad()
def test_the_encoder_of_mmpretrain_computes_the_same_here(tmp_path):
    pytest.importorskip('mmpretrain')
    from mmdet.registry import MODELS

    from ultrasam.checkpoints.model_card import read_encoder_card

    encoder = vit_sam_encoder()
    weights = from_source(encoder.state_dict(), 'vit-sam')
    ours = MODELS.build(dict(type='SamImageEncoder', **read_encoder_card(weights, 'file').encoder_options()))
    ours.load_state_dict({n.removeprefix('backbone.'): t for n, t in weights.items()}, strict=True)
    image = torch.randn(1, 3, SIZE, SIZE)
    assert torch.allclose(ours(image)[0], encoder(image)[0], atol=1e-4)


def test_ours_is_kept_as_it_is_but_for_the_note(tmp_path):
    weights = tiny_model().state_dict()
    note = {'mlp_skip': 'doubled', 'licence': 'Apache-2.0', 'box_mask': 'none'}
    torch.save({'meta': {'ultrasam': note}, 'state_dict': weights, 'optimizer': {}}, tmp_path / 'in.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')
    kept, said = read_back(tmp_path / 'out.pth')
    assert same(kept, dict(weights))
    assert said.items() >= note.items()


@needs_golden
def test_the_published_layout_is_taken_as_it_is_and_its_skip_said_aloud(tmp_path):
    weights = seeded_state_dict('small_refine')
    torch.save({'state_dict': weights, 'meta': {}}, tmp_path / 'in.pth')
    done = convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', profile='ultrasam')
    assert done.note['mlp_skip'] == 'doubled'
    assert done.note['licence'] == 'CC BY-NC-SA 4.0'
    assert any('doubled' in remark for remark in done.remarks)
    assert same(read_back(tmp_path / 'out.pth')[0], dict(weights))


def test_half(sam, sam_file, tmp_path):
    convert_file(sam_file, tmp_path / 'half.pth', half=True)
    weights, _ = read_back(tmp_path / 'half.pth')
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    exact = from_source(sam.state_dict(), 'segment-anything')
    assert all(torch.equal(weights[name], exact[name].half()) for name in exact)


def test_values_that_half_cannot_hold_are_refused(sam, tmp_path):
    weights = {
        **sam.state_dict(),
        'image_encoder.pos_embed': sam.state_dict()['image_encoder.pos_embed'] * 1e7,
    }
    torch.save(weights, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match='infinite'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', half=True)
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize(
    'lost',
    [
        'image_encoder.pos_embed',
        'image_encoder.blocks.1.norm2.bias',
        'image_encoder.blocks.0.attn.rel_pos_h',
        'image_encoder.neck.2.weight',
        'mask_decoder.transformer.layers.1.norm4.weight',
        'mask_decoder.output_hypernetworks_mlps.3.layers.1.bias',
        'prompt_encoder.mask_downscaling.4.bias',
    ],
)
def test_a_missing_tensor_is_named(sam, tmp_path, lost):
    torch.save({name: t for name, t in sam.state_dict().items() if name != lost}, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError) as error:
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert lost in str(error.value) or lost == 'image_encoder.pos_embed'
    assert not list(tmp_path.glob('out*'))


def test_all_of_the_mask_prompts_missing_is_noticed_too(sam, tmp_path):
    weights = {name: t for name, t in sam.state_dict().items() if 'mask_downscaling' not in name}
    torch.save(weights, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match='10 missing'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')


@pytest.mark.parametrize(
    'name, shape',
    [
        ('image_encoder.blocks.0.mlp.lin2.weight', (32, 65)),
        ('mask_decoder.mask_tokens.weight', (5, 256)),
        ('image_encoder.neck.0.weight', (128, 32, 1, 1)),
    ],
)
def test_a_misshapen_tensor_is_refused(sam, tmp_path, name, shape):
    torch.save({**sam.state_dict(), name: torch.zeros(shape)}, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match='of another shape'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')


def test_sam_med2d_is_refused_and_what_would_be_lost_is_counted(sam, tmp_path):
    adapters = {
        f'image_encoder.blocks.{i}.Adapter.channel.{k}.weight': torch.zeros(8, 32)
        for i in (0, 1)
        for k in (0, 2)
    }
    torch.save({'model': {**sam.state_dict(), **adapters}}, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'4 of \d+ tensors, 1,024 values, are adapters'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')


@pytest.mark.parametrize(
    'weights, message',
    [
        ({'conv1.weight': torch.zeros(1)}, 'unknown weights: 1 tensors'),
        ({'head.fc.weight': torch.zeros(2, 3)}, 'an image classifier; use it with the config'),
        ({'image_encoder.trunk.a': torch.zeros(1)}, 'SAM 2'),
        ({'a.lora_down.weight': torch.zeros(2, 3), 'a.lora_up.weight': torch.zeros(3, 2)}, '--merge-lora'),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path, weights, message):
    torch.save(weights, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=message):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')


def test_folders_without_weights_and_escaping_shards_are_refused(tmp_path):
    (tmp_path / 'in').mkdir()
    with pytest.raises(CheckpointError, match=r'looked for model\.safetensors'):
        convert_file(tmp_path / 'in', tmp_path / 'out.pth')
    index = {'weight_map': {'a': '../secret.bin'}}
    (tmp_path / 'in/model.safetensors.index.json').write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match='plain file names'):
        convert_file(tmp_path / 'in', tmp_path / 'out.pth')


def test_nothing_is_overwritten_unasked(sam_file, tmp_path):
    out = tmp_path / 'out.pth'
    out.write_bytes(b'precious')
    with pytest.raises(OutputError, match='exists already'):
        convert_file(sam_file, out)
    assert out.read_bytes() == b'precious'
    done = convert_file(sam_file, out, overwrite=True)
    assert done.sha256 == file_sha256(out)
    with pytest.raises(OutputError, match='suffix'):
        convert_file(sam_file, tmp_path / 'out.npz')


def test_without_safetensors_the_extra_is_named(sam_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    with pytest.raises(OutputError, match=r'ultrasam\[export\]'):
        convert_file(sam_file, tmp_path / 'out.safetensors')


def test_a_profile_must_fit(sam_file, tmp_path):
    with pytest.raises(CheckpointError, match='is not published'):
        convert_file(sam_file, tmp_path / 'out.pth', profile='ultrasam')
    with pytest.raises(CheckpointError, match=', '.join(PROFILES)):
        convert_file(sam_file, tmp_path / 'out.pth', profile='sam9')


def test_medsam_is_prepared_by_its_own_range(sam_file, tmp_path):
    import ultrasam.openmmlab.models.preprocessing  # noqa: F401

    done = convert_file(sam_file, tmp_path / 'out.pth', profile='medsam')
    assert done.note['preprocessing'] == 'min_max'
    assert any('boxes' in remark for remark in done.remarks)
    model = ours_of(*read_back(tmp_path / 'out.pth'))
    image = torch.randint(20, 200, (3, SIZE, 100), dtype=torch.uint8)
    prepared = model.data_preprocessor({'inputs': [image], 'data_samples': None}, False)['inputs'][0]
    assert prepared.shape == (3, SIZE, SIZE)
    assert prepared.min() == 0
    assert prepared.max() == 1
    low, high = image.min().float(), image.max().float()
    # BGR in, RGB to the network
    assert torch.allclose(prepared[:, :, :100], (image.flip(0) - low) / (high - low))
    assert not prepared[:, :, 100:].any()


@torch.no_grad()
def test_a_folded_decoder_computes_what_the_doubled_skip_did():
    weights = tiny_model().state_dict()
    doubled = ours_of(weights, {'mlp_skip': 'doubled'})
    folded = ours_of(fold_doubled_skip(weights), {'mlp_skip': 'single'})
    wrong = ours_of(weights, {'mlp_skip': 'single'})
    embedding = torch.randn(1, 256, 8, 8)
    answers = [
        decode(model, embedding, POINTS[:1], [1], None, None, True)[0] for model in (doubled, folded, wrong)
    ]
    assert torch.allclose(answers[0], answers[1], atol=1e-4)
    assert not torch.allclose(answers[0], answers[2], atol=1e-3)
    assert same(unfold_doubled_skip(fold_doubled_skip(weights)), dict(weights))


@torch.no_grad()
def test_weights_for_the_other_skip_give_the_same_masks(sam_file, tmp_path):
    """A config with the doubled skip can start from weights of Segment Anything."""
    embedding = torch.randn(1, 256, 8, 8)
    answers, skips = [], []
    for i, skip in enumerate((None, 'doubled')):
        done = convert_file(sam_file, tmp_path / f'{i}.pth', mlp_skip=skip)
        skips.append(done.note['mlp_skip'])
        model = ours_of(*read_back(tmp_path / f'{i}.pth'))
        answers.append(decode(model, embedding, POINTS[:1], [1], None, None, True)[0])
    assert skips == ['single', 'doubled']
    assert torch.allclose(*answers, atol=1e-4)
    back = convert_file(tmp_path / '1.pth', tmp_path / 'back.pth', mlp_skip='single')
    assert back.note['mlp_skip'] == 'single'
    assert same(read_back(tmp_path / 'back.pth')[0], read_back(tmp_path / '0.pth')[0])


def test_an_encoder_has_no_skip_to_choose(tmp_path):
    pytest.importorskip('mmpretrain')
    torch.save(vit_sam_encoder().state_dict(), tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match='that have a decoder'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', mlp_skip='single')


@pytest.mark.parametrize('profile', ['sam', 'medsam'])
def test_the_inferencer_honours_the_note(sam_file, tmp_path, image, profile):
    from ultrasam import UltraSamInferencer

    out = tmp_path / 'ours.pth'
    convert_file(sam_file, out, profile=profile)
    inferencer = UltraSamInferencer(out, device='cpu')
    assert inferencer.model.decoder.mlp_skip == 'single'
    prepared = type(inferencer.model.data_preprocessor).__name__
    assert prepared == {'sam': 'DetDataPreprocessor', 'medsam': 'MinMaxPreprocessor'}[profile]
    inferencer.set_image(image)
    answer = inferencer.predict(box=(20, 30, 90, 100))
    assert answer.masks.shape == (1, *image.shape[:2])


def run_command(monkeypatch, *arguments: object) -> None:
    """The command, without the seconds that a new process takes to import torch."""
    script = str(ROOT / 'weights/convert.py')
    monkeypatch.setattr(sys, 'argv', [script, *map(str, arguments)])
    runpy.run_path(script, run_name='__main__')


def test_the_command(sam_file, tmp_path, monkeypatch, capsys):
    run_command(monkeypatch, sam_file, tmp_path / 'out.pth', '--as', 'sam')
    printed = capsys.readouterr().out
    assert 'segment-anything layout' in printed
    assert 'all used once' in printed
    assert file_sha256(tmp_path / 'out.pth') in printed
    with pytest.raises(SystemExit, match=r'OutputError: .*--overwrite'):
        run_command(monkeypatch, sam_file, tmp_path / 'out.pth')


def test_the_command_has_examples(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(monkeypatch, '--help')
    assert stop.value.code == 0
    assert 'python weights/convert.py sam_vit_b_01ec64.pth' in capsys.readouterr().out


@pytest.mark.slow
@needs_golden
def test_vit_b_of_segment_anything(tmp_path):
    library = pytest.importorskip('segment_anything')
    torch.manual_seed(0)
    weights = library.sam_model_registry['vit_b']().state_dict()
    torch.save(weights, tmp_path / 'in.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', profile='sam')
    ours, note = read_back(tmp_path / 'out.pth')
    assert {name: list(t.shape) for name, t in ours.items()} == read_json('contract.json')['vit_b_refine']
    assert read_card(ours, {'ultrasam': note}, 'file').img_size == 1024
    assert same(to_source(ours, 'segment-anything'), dict(weights))
