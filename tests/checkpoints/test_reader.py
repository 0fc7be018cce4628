"""Files that must be read, and damaged files that must be explained."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from torch import nn

from ultrasam.checkpoints import check_finite, load_checkpoint_file, state_dict_of
from ultrasam.checkpoints.saved_objects import SavedHistory
from ultrasam.errors import CheckpointError

from .conftest import saved_bytes, write_archive

LEGACY = {'_use_new_zipfile_serialization': False}


def assert_same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype and torch.equal(found, wanted)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype and np.array_equal(found, wanted)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            assert_same(found[key], wanted[key])
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for left, right in zip(found, wanted, strict=True):
            assert_same(left, right)
    else:
        assert found == wanted


def rich_content() -> dict[str, Any]:
    base = torch.arange(12, dtype=torch.float32)
    dtypes = (
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.complex64,
    )
    return {
        'meta': {
            'epoch': 1,
            'iter': 2**40,
            'cfg': 'a = "é"',
            'seed': None,
            'lr': 1e-3,
            'classes': ('a', 'b'),
            'flags': [True, False],
            'negative': -(2**70),
            'raw': b'\x00\xff',
        },
        'state_dict': OrderedDict(
            **{str(dtype): torch.ones(2, 3).to(dtype) for dtype in dtypes},
            scalar=torch.tensor(3),
            empty=torch.empty(0, 4),
            transposed=base.view(3, 4).t(),
            part=base[4:8],
        ),
        'numpy': {
            'array': np.arange(6.0).reshape(2, 3),
            'fortran': np.asfortranarray(np.arange(6).reshape(2, 3)),
            'text': np.array(['ab', 'c']),
            'number': np.float64(0.5),
            'flag': np.array([True]),
        },
        'other': [
            torch.Size([1, 2]),
            torch.device('cpu'),
            torch.float16,
            Counter({3: 1}),
            {1, 2},
            1 + 2j,
            slice(0, 4, None),
        ],
    }


@pytest.mark.parametrize('options', [{}, LEGACY], ids=['zip', 'legacy'])
def test_reads_what_torch_saved(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / 'c.pth'
    path.write_bytes(saved_bytes(rich_content(), **options))
    checkpoint = load_checkpoint_file(path)
    assert checkpoint.source == str(path)
    assert_same(dict(checkpoint), rich_content())


def test_configs_become_plain_data(tmp_path: Path) -> None:
    path = tmp_path / 'c.pth'
    torch.save({'meta': ConfigDict(lr=1, nested={'x': (2,)})}, path)
    assert_same(load_checkpoint_file(path)['meta'], {'lr': 1, 'nested': {'x': (2,)}})


@pytest.mark.parametrize('options', [{}, LEGACY], ids=['zip', 'legacy'])
def test_shared_storage_stays_shared(tmp_path: Path, options: dict[str, Any]) -> None:
    base = torch.zeros(4)
    path = tmp_path / 'c.pth'
    path.write_bytes(saved_bytes({'a': base, 'b': base[:2]}, **options))
    loaded = load_checkpoint_file(path)
    loaded['a'][0] = 7
    assert loaded['b'][0] == 7


def test_module_state_keeps_versions_and_parameters(tmp_path: Path) -> None:
    model = nn.BatchNorm1d(2)
    path = tmp_path / 'c.pth'
    torch.save({'state_dict': model.state_dict(), 'parameter': model.weight}, path)
    loaded = load_checkpoint_file(path)
    assert loaded['state_dict']._metadata[''] == {'version': 2}
    assert isinstance(loaded['parameter'], nn.Parameter)
    torch.save(model.state_dict(), path)
    assert state_dict_of(load_checkpoint_file(path), path)._metadata[''] == {'version': 2}


def test_log_history_is_data(tmp_path: Path) -> None:
    path = tmp_path / 'c.pth'
    torch.save({'message_hub': {'loss': HistoryBuffer([1.0, 3.0], [1, 2], max_length=5)}}, path)
    history = load_checkpoint_file(path)['message_hub']['loss']
    assert type(history) is SavedHistory
    assert history.log.tolist() == [1, 3] and history.count.tolist() == [1, 2] and history.max_length == 5


def test_other_pickle_protocols_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / 'c.pth'
    path.write_bytes(saved_bytes({'a': torch.ones(1)}, pickle_protocol=4))
    with pytest.raises(CheckpointError, match=r'pickle protocol other than 2.*Save it again with torch.save'):
        load_checkpoint_file(path)


def test_log_history_of_either_numpy_generation_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(saved_bytes({'loss': HistoryBuffer([1.0, 3.0], [1, 1])}))) as archive:
        pickled = archive.read('archive/data.pkl')
    modules = (b'numpy.core.multiarray', b'numpy._core.multiarray')
    assert any(module in pickled for module in modules)
    for written in modules:
        content = pickled
        for module in modules:
            content = content.replace(module, written)
        path = write_archive(tmp_path / 'c.pth', content)
        assert load_checkpoint_file(path)['loss'].log.tolist() == [1, 3]


def test_reads_the_same_as_torch_in_a_real_training_checkpoint(training_checkpoint: Path) -> None:
    ours = load_checkpoint_file(training_checkpoint)
    theirs = torch.load(training_checkpoint, weights_only=False)
    assert list(ours) == list(theirs)
    for part in ('meta', 'state_dict', 'optimizer', 'param_schedulers'):
        assert_same(ours[part], theirs[part])
    scalars = theirs['message_hub']['log_scalars']
    assert scalars and list(ours['message_hub']['log_scalars']) == list(scalars)
    for name, buffer in scalars.items():
        found = ours['message_hub']['log_scalars'][name]
        assert np.array_equal((found.log, found.count), buffer.data)


def test_moving_keeps_what_is_shared(tmp_path: Path) -> None:
    path = tmp_path / 'c.pth'
    shared = [torch.ones(2)]
    torch.save({'a': shared, 'b': shared, 'c': [shared[0]]}, path)
    moved = load_checkpoint_file(path, map_location='meta')
    assert moved['a'] is moved['b'] and moved['c'][0] is moved['a'][0]


def test_map_location(tmp_path: Path) -> None:
    path = tmp_path / 'c.pth'
    torch.save({'a': [torch.ones(2)], 'b': (torch.ones(1), 3)}, path)
    moved = load_checkpoint_file(path, map_location='meta')
    assert moved['a'][0].is_meta and moved['b'][0].is_meta and moved['b'][1] == 3
    assert not load_checkpoint_file(path, map_location=None)['a'][0].is_meta
    with pytest.raises(CheckpointError, match='must be a device'):
        load_checkpoint_file(path, map_location=lambda storage, location: storage)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('content', 'cause'),
    [
        (b'', 'is empty'),
        (b'<!DOCTYPE html><html></html>', 'web page'),
        (b'\n <html>', 'web page'),
        (b'\x89PNG\r\n\x1a\n0000', 'not a checkpoint'),
        (b'PK\x03\x04 cut', 'truncated or damaged'),
        (b'\x80\x02}q', 'truncated or damaged'),
        (b'\x80\x02}.', 'plain pickle'),
        (b'\0' * 257 + b'ustar' + b'\0' * 300, 'tar archive'),
    ],
)
def test_what_is_no_checkpoint_is_explained(tmp_path: Path, content: bytes, cause: str) -> None:
    path = tmp_path / 'UltraSam.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=cause) as caught:
        load_checkpoint_file(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='no such file'):
        load_checkpoint_file(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        load_checkpoint_file(tmp_path)


def test_other_zip_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'c.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('notes.txt', 'x')
    with pytest.raises(CheckpointError, match=r'no data\.pkl'):
        load_checkpoint_file(path)
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), path)
    with pytest.raises(CheckpointError, match='TorchScript'):
        load_checkpoint_file(path)
    torch.save([torch.ones(1)], path)
    with pytest.raises(CheckpointError, match='holds a list'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('options', [{}, LEGACY], ids=['zip', 'legacy'])
def test_every_truncation_is_detected(tmp_path: Path, options: dict[str, Any]) -> None:
    whole = saved_bytes({'state_dict': {'a': torch.arange(50.0), 'b': torch.ones(3)}}, **options)
    path = tmp_path / 'c.pth'
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint_file(path)


def test_flipped_bits_never_change_a_weight_in_silence(tmp_path: Path) -> None:
    weights = {'state_dict': {'a': torch.arange(400.0), 'b': torch.ones(3)}}
    whole = saved_bytes(weights)
    path = tmp_path / 'c.pth'
    detected = 0
    for position in np.random.default_rng(0).integers(0, len(whole) * 8, size=200):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            found = load_checkpoint_file(path)
        except CheckpointError:
            detected += 1
        else:
            # Padding and time stamps carry no data: a flip there changes nothing.
            assert_same(dict(found), weights)
    assert detected > 50


def safetensors_bytes() -> bytes:
    header = {'__metadata__': {'format': 'pt'}, 'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + struct.pack('<2f', 1, 2)


@pytest.mark.skipif(importlib.util.find_spec('safetensors') is None, reason='safetensors is not installed')
def test_safetensors_is_told_from_its_content(tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    path.write_bytes(safetensors_bytes())
    checkpoint = load_checkpoint_file(path)
    assert_same(
        dict(checkpoint), {'meta': {'format': 'pt'}, 'state_dict': OrderedDict(a=torch.tensor([1.0, 2.0]))}
    )
    path.write_bytes(safetensors_bytes()[:-1])
    with pytest.raises(CheckpointError, match='truncated or damaged'):
        load_checkpoint_file(path)


def test_safetensors_without_the_package_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'weights.safetensors'
    path.write_bytes(safetensors_bytes())
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(CheckpointError, match=r'weights\.safetensors: .* needs safetensors.*pip install'):
        load_checkpoint_file(path)


def test_check_finite() -> None:
    check_finite({'a': torch.ones(2), 'steps': torch.tensor(3)}, 'c.pth')
    bad = {'a': torch.tensor([1.0, float('nan')]), 'b': torch.tensor(float('-inf')), 'c': torch.ones(1)}
    with pytest.raises(CheckpointError, match=r'c\.pth: 2 of 3 tensors .*\(a, b\)'):
        check_finite(bad, 'c.pth')
