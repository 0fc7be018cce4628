"""``ultrasam info`` says what each kind of file is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.checkpoints.foreign import segment_anything_model, transformers_model, vit_sam_encoder
from tests.checkpoints.test_convert_lora import adapters_of
from tests.models.test_properties import tiny_model
from ultrasam.checkpoints.summary import summarise
from ultrasam.cli.main import main
from ultrasam.export.convert import convert_file
from ultrasam.hashing import file_sha256


def saved(path: Path, content: dict) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope='module')
def ours() -> dict[str, torch.Tensor]:
    return dict(tiny_model().state_dict())


def info(capsys, *arguments: object) -> str:
    assert main(['info', *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_published_layout(ours, tmp_path, capsys):
    path = saved(tmp_path / 'UltraSam.pth', {'state_dict': ours, 'meta': {}})
    text = info(capsys, path)
    assert 'what it is  UltraSam\n' in text
    assert 'embed_dims 32' in text
    assert 'doubled (taken for granted: the file does not say)' in text
    assert 'not stated in the file' in text
    assert file_sha256(path) in text
    assert f'ultrasam predict --checkpoint {path}' in text


def test_ours_with_its_note(ours, tmp_path, capsys):
    note = {'mlp_skip': 'doubled', 'licence': 'Apache-2.0', 'trained_on': 'phantoms'}
    text = info(capsys, saved(tmp_path / 'a.pth', {'state_dict': ours, 'meta': {'ultrasam': note}}))
    assert 'Apache-2.0' in text
    assert 'phantoms' in text
    assert 'taken for granted' not in text


def test_keys(ours, tmp_path, capsys):
    text = info(capsys, saved(tmp_path / 'a.pth', {'state_dict': ours}), '--keys')
    assert 'decoder.post_norm.weight  (256,)  torch.float32' in text


@pytest.mark.parametrize('wrap', [False, True])
def test_segment_anything(tmp_path, capsys, wrap):
    pytest.importorskip('segment_anything')
    weights = segment_anything_model().state_dict()
    path = saved(tmp_path / 'sam.pth', {'model': weights} if wrap else weights)
    text = info(capsys, path)
    assert 'segment-anything layout' in text
    assert 'embed_dims 32' in text
    assert 'mlp skip  single\n' in text
    assert f'python weights/convert.py {path} OUT.pth (add --as medsam' in text


def test_converted_safetensors_keep_their_note(tmp_path, capsys):
    pytest.importorskip('segment_anything')
    pytest.importorskip('safetensors')
    sam = saved(tmp_path / 'sam.pth', segment_anything_model().state_dict())
    convert_file(sam, tmp_path / 'ours.safetensors', profile='medsam')
    text = info(capsys, tmp_path / 'ours.safetensors')
    assert 'preprocessing  min_max' in text
    assert 'mlp skip  single\n' in text
    assert f'source_sha256  {file_sha256(sam)}' in text


def test_a_folder_of_transformers(tmp_path, capsys):
    pytest.importorskip('transformers')
    transformers_model().save_pretrained(tmp_path / 'folder')
    text = info(capsys, tmp_path / 'folder')
    assert 'SamModel of transformers' in text
    assert 'num_heads 2' in text
    assert file_sha256(tmp_path / 'folder/model.safetensors') in text


def test_an_encoder_alone(tmp_path, capsys):
    pytest.importorskip('mmpretrain')
    text = info(capsys, saved(tmp_path / 'a.pth', {'state_dict': vit_sam_encoder().state_dict()}))
    assert 'an image encoder alone' in text
    assert 'input  128 px' in text


def test_sam_med2d(tmp_path, capsys):
    pytest.importorskip('segment_anything')
    weights = dict(segment_anything_model().state_dict())
    weights['image_encoder.blocks.0.Adapter.channel.0.weight'] = torch.zeros(8, 32)
    text = info(capsys, saved(tmp_path / 'a.pth', {'model': weights}))
    assert 'SAM-Med2D' in text
    assert 'cannot be converted' in text


def test_adapters_alone(ours, tmp_path, capsys):
    text = info(capsys, saved(tmp_path / 'a.pth', {'state_dict': adapters_of(ours)}))
    assert 'LoRA adapters' in text
    assert '2 of rank 4' in text
    assert '--merge-lora BASE.pth' in text


def test_a_classifier(ours, tmp_path, capsys):
    weights = {n: t for n, t in ours.items() if n.startswith('backbone.') and 'channel_reduction' not in n}
    weights |= {'head.fc.weight': torch.zeros(5, 32), 'head.fc.bias': torch.zeros(5)}
    text = info(capsys, saved(tmp_path / 'a.pth', {'state_dict': weights}))
    assert 'an image classifier' in text
    assert 'classes  5\n' in text
    assert 'embed_dims 32' in text


def test_a_training_checkpoint(ours, tmp_path, capsys):
    meta = {'iter': 2000, 'epoch': 3, 'experiment_name': 'run', 'time': '20260101'}
    path = saved(tmp_path / 'iter.pth', {'state_dict': ours, 'meta': meta, 'optimizer': {'state': {}}})
    text = info(capsys, path)
    assert 'iteration  2000\n' in text
    assert 'epoch  3\n' in text
    assert 'optimizer (training can be resumed from it)' in text


def test_weights_that_are_not_known(tmp_path, capsys):
    text = info(capsys, saved(tmp_path / 'a.pth', {'conv1.weight': torch.zeros(2, 3)}))
    assert 'unknown weights (conv1.weight)' in text
    assert '1, 6 values' in text


def test_a_damaged_encoder_is_described_as_far_as_it_goes(ours, tmp_path, capsys):
    weights = {name: t for name, t in ours.items() if name != 'backbone.pos_embed'}
    text = info(capsys, saved(tmp_path / 'a.pth', {'state_dict': weights}))
    assert 'architecture  not told' in text
    assert 'backbone.pos_embed' in text


def test_onnx(tmp_path, capsys):
    onnx = pytest.importorskip('onnx')
    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    values = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 'points']) for n in 'xy']
    graph = onnx.helper.make_graph([node], 'g', values[:1], values[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    onnx.helper.set_model_props(model, {'licence': 'Apache-2.0'})
    onnx.save(model, str(tmp_path / 'a.onnx'))
    text = info(capsys, tmp_path / 'a.onnx')
    assert 'ai.onnx 17' in text
    assert 'x (1, points)' in text
    assert 'Apache-2.0' in text
    (tmp_path / 'bad.onnx').write_bytes(b'\xff' * 64)
    assert main(['info', str(tmp_path / 'bad.onnx')]) == 4
    assert 'no ONNX graph' in capsys.readouterr().err


def test_without_onnx_the_file_is_still_named(tmp_path, monkeypatch):
    import ultrasam.checkpoints.summary as module

    def missing(name: str):
        raise ImportError(name)

    monkeypatch.setattr(module, 'import_module', missing)
    (tmp_path / 'a.onnx').write_bytes(b'\x08\x01')
    assert 'ultrasam[export]' in summarise(tmp_path / 'a.onnx').lines['inside']


def test_what_ships(capsys):
    text = info(capsys)
    assert 'embed_dims 192' in text
    assert 'Apache-2.0' in text


def test_a_missing_file(tmp_path, capsys):
    assert main(['info', str(tmp_path / 'none.pth')]) == 4
    assert 'no such file' in capsys.readouterr().err
