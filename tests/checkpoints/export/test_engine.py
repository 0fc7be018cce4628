"""What every export does: refuse before work, publish whole or not at all, say where things are from."""

from __future__ import annotations

import hashlib
import json
import runpy
import stat
import sys

import pytest
import torch

import ultrasam
from tests.golden import ROOT
from tests.models.test_properties import tiny_model
from ultrasam.errors import CheckpointError, ConfigError, OutputError
from ultrasam.export import TARGETS, export_checkpoint

FILE_TARGETS = [name for name, target in TARGETS.items() if not target.folder]
FOLDER_TARGETS = [name for name, target in TARGETS.items() if target.folder]


def test_targets():
    assert FILE_TARGETS == ['segment-anything', 'safetensors']
    assert FOLDER_TARGETS == ['transformers', 'onnx', 'predictor', 'x-anylabeling', 'cvat']


def test_record_beside_a_file(tiny, tmp_path):
    out = tmp_path / 'sam.pth'
    record = export_checkpoint(tiny, out, 'segment-anything')
    assert json.loads((tmp_path / 'sam.pth.json').read_text()) == record
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert (record['file'], record['sha256']) == ('sam.pth', digest)
    assert record['files'] == {'sam.pth': {'sha256': digest, 'bytes': out.stat().st_size}}
    assert record['source']['file'] == 'tiny.pth'
    assert record['source']['sha256'] == hashlib.sha256(tiny.read_bytes()).hexdigest()
    assert record['licence'] == 'Apache-2.0'
    assert record['preprocessing']['mean'] == [123.675, 116.28, 103.53]
    assert record['preprocessing']['std'] == [58.395, 57.12, 57.375]
    assert record['versions']['ultrasam'] == ultrasam.__version__
    assert record['versions']['torch'].startswith(torch.__version__.split('+')[0])
    assert 'two passes' in record['passes']
    assert str(tmp_path) not in json.dumps(record)


def test_record_in_a_folder(tiny, tmp_path):
    record = export_checkpoint(tiny, tmp_path / 'hf', 'transformers')
    assert json.loads((tmp_path / 'hf/export.json').read_text()) == record
    assert set(record['files']) == {'config.json', 'model.safetensors', 'preprocessor_config.json'}
    for name, entry in record['files'].items():
        content = (tmp_path / 'hf' / name).read_bytes()
        assert entry == {'sha256': hashlib.sha256(content).hexdigest(), 'bytes': len(content)}


def test_others_can_read_what_is_written(tiny, tmp_path):
    export_checkpoint(tiny, tmp_path / 'hf', 'transformers')
    export_checkpoint(tiny, tmp_path / 'a.safetensors', 'safetensors')
    files = [*(tmp_path / 'hf').iterdir(), *tmp_path.glob('a.*')]
    (tmp_path / 'plain').write_text('')
    usual = stat.S_IMODE((tmp_path / 'plain').stat().st_mode)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {usual}


def test_lone_click_of_the_published_model_is_in_the_recipe(tmp_path):
    torch.save(dict(state_dict=tiny_model().state_dict()), tmp_path / 'published.pth')
    record = export_checkpoint(tmp_path / 'published.pth', tmp_path / 'sam.pth', 'segment-anything')
    assert 'lone click is replaced by the box' in record['passes']
    assert record['licence'] is None


@pytest.mark.parametrize('target', FILE_TARGETS)
def test_existing_file_is_kept_unless_allowed(tiny, tmp_path, target):
    out = tmp_path / 'out.bin'
    out.write_bytes(b'precious')
    with pytest.raises(OutputError, match='--overwrite'):
        export_checkpoint(tiny, out, target)
    assert [path.name for path in tmp_path.iterdir()] == ['out.bin']
    assert out.read_bytes() == b'precious'
    export_checkpoint(tiny, out, target, overwrite=True)
    assert len(out.read_bytes()) > 1000


def test_existing_record_is_kept(tiny, tmp_path):
    (tmp_path / 'out.pth.json').write_text('{}')
    with pytest.raises(OutputError, match=r'out\.pth\.json exists already'):
        export_checkpoint(tiny, tmp_path / 'out.pth', 'segment-anything')
    assert [path.name for path in tmp_path.iterdir()] == ['out.pth.json']


def test_existing_export_is_replaced_when_allowed(tiny, tmp_path):
    out = tmp_path / 'hf'
    export_checkpoint(tiny, out, 'transformers')
    (out / 'left_over.txt').write_text('of the previous export')
    with pytest.raises(OutputError, match='--overwrite'):
        export_checkpoint(tiny, out, 'transformers')
    export_checkpoint(tiny, out, 'transformers', overwrite=True)
    assert 'left_over.txt' not in {path.name for path in out.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ['hf']


@pytest.mark.parametrize('record', [None, '{"target": "other"}', 'no json', '[]'])
def test_folder_of_other_things_is_never_replaced(tiny, tmp_path, record):
    (tmp_path / 'thesis.tex').write_text('precious')
    if record is not None:
        (tmp_path / 'export.json').write_text(record)
    with pytest.raises(OutputError, match='other things'):
        export_checkpoint(tiny, tmp_path, 'transformers', overwrite=True)
    assert (tmp_path / 'thesis.tex').read_text() == 'precious'


@pytest.mark.parametrize('target', TARGETS)
def test_kind_of_place_is_checked(tiny, tmp_path, target):
    place = tmp_path / 'place'
    if TARGETS[target].folder:
        place.write_text('a file')
    else:
        place.mkdir()
    with pytest.raises(OutputError, match='folder'):
        export_checkpoint(tiny, place, target, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ['place']


@pytest.mark.parametrize('target', ['segment-anything', 'transformers'])
def test_place_that_cannot_be_written(tiny, tmp_path, target):
    with pytest.raises(OutputError, match='create the folder'):
        export_checkpoint(tiny, tmp_path / 'missing' / 'out', target)
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError):
        export_checkpoint(tiny, tmp_path / 'file' / 'out', target)
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.mark.parametrize('target', ['segment-anything', 'transformers'])
def test_failure_half_way_leaves_nothing(tiny, tmp_path, monkeypatch, target):
    def fail(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('ultrasam.export.engine.build_record', fail)
    if target == 'segment-anything':
        monkeypatch.setattr('torch.save', fail)
    with pytest.raises(OutputError, match='No space left'):
        export_checkpoint(tiny, tmp_path / 'out', target)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'content', [dict(state_dict={'weight': torch.zeros(1)}), dict(state_dict={}), {'epoch': 3}]
)
@pytest.mark.parametrize('target', ['segment-anything', 'onnx'])
def test_not_ours(tmp_path, content, target):
    torch.save(content, tmp_path / 'foreign.pth')
    with pytest.raises(CheckpointError, match=r'foreign\.pth'):
        export_checkpoint(tmp_path / 'foreign.pth', tmp_path / 'out', target)
    assert [path.name for path in tmp_path.iterdir()] == ['foreign.pth']


def test_weights_of_segment_anything_are_to_be_converted_first(tiny, tmp_path):
    export_checkpoint(tiny, tmp_path / 'sam.pth', 'segment-anything')
    with pytest.raises(CheckpointError, match='segment-anything'):
        export_checkpoint(tmp_path / 'sam.pth', tmp_path / 'out', 'onnx')


def test_encoder_alone(tiny, tmp_path):
    state = torch.load(tiny, weights_only=True)['state_dict']
    encoder = {name: tensor for name, tensor in state.items() if name.startswith('backbone.')}
    torch.save(dict(state_dict=encoder), tmp_path / 'encoder.pth')
    with pytest.raises(CheckpointError, match=r'encoder\.pth.*decoder\.post_norm'):
        export_checkpoint(tmp_path / 'encoder.pth', tmp_path / 'out', 'onnx')


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match='no such file'):
        export_checkpoint(tmp_path / 'none.pth', tmp_path / 'out', 'onnx')


@pytest.mark.parametrize(
    'target, module', [('onnx', 'onnx'), ('x-anylabeling', 'onnx'), ('transformers', 'safetensors.torch')]
)
def test_missing_package_is_named_with_its_extra(tiny, tmp_path, monkeypatch, target, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r'pip install "ultrasam\[export\]"'):
        export_checkpoint(tiny, tmp_path / 'out', target)
    assert not list(tmp_path.iterdir())


def test_unknown_target(tiny, tmp_path):
    with pytest.raises(ConfigError, match='segment-anything, transformers'):
        export_checkpoint(tiny, tmp_path / 'out', 'coreml')


def command(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, 'argv', ['export.py', *map(str, words)])
    runpy.run_path(str(ROOT / 'weights/export.py'), run_name='__main__')


def test_command(tiny, tmp_path, monkeypatch, capsys):
    command(monkeypatch, tiny, tmp_path / 'sam.pth', '--to', 'segment-anything')
    said = capsys.readouterr().out
    assert 'sam.pth' in said
    assert 'folded' in said
    assert 'Apache-2.0' in said
    assert 'sam.pth.json' in said
    with pytest.raises(SystemExit, match='OutputError'):
        command(monkeypatch, tiny, tmp_path / 'sam.pth', '--to', 'segment-anything')


def test_command_help(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command(monkeypatch, '--help')
    said = capsys.readouterr().out
    assert all(name in said for name in TARGETS)
