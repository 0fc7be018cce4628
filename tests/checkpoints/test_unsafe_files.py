"""Files that try to run something: nothing runs, and what they asked for is named."""

from __future__ import annotations

import builtins
import os
import pickle
import tarfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from ultrasam.checkpoints import load_checkpoint_file
from ultrasam.errors import CheckpointError

from .conftest import saved_bytes, write_archive

BUFFER = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def payloads(canary: Path) -> dict[str, tuple[Any, tuple[str, ...]]]:
    code = f'open({str(canary)!r}, "w").close()'
    system = Calls(os.system, f'touch {canary}')
    return {
        'os.system': ({'state_dict': system}, (f'{os.name}.system',)),
        'exec': ({'state_dict': Calls(exec, code)}, ('builtins.exec',)),
        'two at once': ([Calls(exec, code), system], ('builtins.exec', f'{os.name}.system')),
        'in optimizer state': (
            {'state_dict': {'a': torch.ones(1)}, 'optimizer': {'state': {0: {'exp_avg': [system]}}}},
            (f'{os.name}.system',),
        ),
        'getattr chain': ({'meta': Calls(getattr, Calls(exec, code), 'x')}, ('builtins.exec',)),
        'object array': (
            {'message_hub': np.array([Calls(exec, code)], dtype=object)},
            ('builtins.exec',),
        ),
    }


PAYLOADS = sorted(payloads(Path('canary')))


@pytest.mark.parametrize(
    'options',
    [{}, {'_use_new_zipfile_serialization': False}, {'pickle_protocol': 4}],
    ids=['zip', 'legacy', 'protocol4'],
)
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('kind', PAYLOADS)
def test_payloads_do_not_run_and_are_named(
    tmp_path: Path, kind: str, suffix: str, options: dict[str, Any]
) -> None:
    canary = tmp_path / 'canary'
    content, names = payloads(canary)[kind]
    path = tmp_path / f'weights{suffix}'
    path.write_bytes(saved_bytes(content, **options))
    with pytest.raises(CheckpointError, match='nothing was executed') as caught:
        load_checkpoint_file(path)
    assert not canary.exists()
    assert str(path) in str(caught.value)
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize('kind', [kind for kind in PAYLOADS if kind != 'getattr chain'])
def test_the_payloads_are_real(tmp_path: Path, kind: str) -> None:
    """Without this, the test above could pass on harmless files."""
    canary = tmp_path / 'canary'
    path = tmp_path / 'weights.pth'
    path.write_bytes(saved_bytes(payloads(canary)[kind][0]))
    torch.load(path, weights_only=False)
    assert canary.exists()


def test_plain_pickles_and_tar_files_do_not_run(tmp_path: Path) -> None:
    canary = tmp_path / 'canary'
    path = tmp_path / 'weights.pth'
    path.write_bytes(pickle.dumps(Calls(os.system, f'touch {canary}')))
    with pytest.raises(CheckpointError, match=f'{os.name}.system'):
        load_checkpoint_file(path)
    path.write_bytes(pickle.dumps({'a': 1}))
    with pytest.raises(CheckpointError, match='plain pickle'):
        load_checkpoint_file(path)
    (tmp_path / 'pickle').write_bytes(pickle.dumps(Calls(os.system, f'touch {canary}')))
    with tarfile.open(path, 'w') as archive:
        archive.add(tmp_path / 'pickle', 'pickle')
    with pytest.raises(CheckpointError, match='tar archive'):
        load_checkpoint_file(path)
    assert not canary.exists()


# where torch's own reader refuses, the words are its own
HANDMADE = {
    'attribute outside the statistics': (
        b'\x80\x02cbuiltins\ngetattr\n' + BUFFER + b'X\x08\x00\x00\x00__init__\x86R.',
        "the attribute '__init__'",
    ),
    'attribute of another object': (
        b'\x80\x02cbuiltins\ngetattr\ncbuiltins\ngetattr\nX\x08\x00\x00\x00__self__\x86R.',
        "'__self__'",
    ),
    'attribute of a value': (b'\x80\x02cbuiltins\ngetattr\n}X\x03\x00\x00\x00pop\x86R.', "'pop' of dict"),
    'call of a statistic': (
        b'\x80\x02cbuiltins\ngetattr\n' + BUFFER + b'X\x03\x00\x00\x00max\x86R)R.',
        '',
    ),
    'call of a value': (b'\x80\x02X\x01\x00\x00\x00a)R.', ''),
    'state onto a class': (
        b'\x80\x02' + BUFFER + b'}X\x04\x00\x00\x00mean' + b'NsbX\x01\x00\x00\x00a.',
        '',
    ),
    'state onto a tensor type': (b'\x80\x02ctorch\nfloat32\n}b.', ''),
    'slots of a log history': (b'\x80\x02' + BUFFER + b')\x81N}\x86b.', 'a malformed HistoryBuffer'),
    'method over a mapping': (
        b'\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsNsb.',
        'attributes of a OrderedDict',
    ),
    'unknown storage': (b'\x80\x02(X\x06\x00\x00\x00moduleNNNNtQ.', ''),
    'extension code': (b'\x80\x02\x82\x01.', 'instructions that weights do not need'),
    'persistent name': (b'\x80\x02Pabc\n.', 'instructions that weights do not need'),
    'import by INST': (b'\x80\x02(S"true"\nios\nsystem\n.', 'os.system'),
    'append to a mapping': (b'\x80\x02}Na.', ''),
    'items of a list': (b'\x80\x02]NNs.', ''),
    'object key': (b'\x80\x02}((NtNtNs.', 'a dictionary key'),
}


@pytest.mark.parametrize('kind', sorted(HANDMADE))
def test_handmade_pickles_are_refused(tmp_path: Path, kind: str) -> None:
    pickled, cause = HANDMADE[kind]
    path = write_archive(tmp_path / 'weights.pth', pickled)
    with pytest.raises(CheckpointError, match='nothing was executed') as caught:
        load_checkpoint_file(path)
    assert cause in str(caught.value)


def test_name_that_is_computed_at_run_time_is_refused(tmp_path: Path) -> None:
    pickled = b'\x80\x04\x8c\x02os\x8c\x06systemN0\x93.'
    with pytest.raises(CheckpointError, match='<computed>'):
        load_checkpoint_file(write_archive(tmp_path / 'weights.pth', pickled))


def test_scan_cannot_be_misled_into_running_a_name(tmp_path: Path) -> None:
    """The memo hides the real operands from the scan; the reader itself must still refuse them."""
    hidden = b'\x80\x04\x8c\x02os\x94\x8c\x06system\x94'
    pickled = hidden + b'\x8c\x0bcollections\x8c\x0bOrderedDict\x86\x85h\x00h\x01\x93.'
    with pytest.raises(CheckpointError, match=r'os\.system'):
        load_checkpoint_file(write_archive(tmp_path / 'weights.pth', pickled))


def tensor_pickle(
    count: int, size: int, stride: int, offset: int = 0, kind: bytes = b'FloatStorage'
) -> bytes:
    """Assemble a pickle of {'a': tensor} over storage 0, with numbers of our choice."""

    def number(value: int) -> bytes:
        return b'J' + value.to_bytes(4, 'little', signed=True)

    storage = (
        b'(X\x07\x00\x00\x00storagectorch\n'
        + kind
        + b'\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu'
        + number(count)
    )
    shape = number(offset) + number(size) + b'\x85' + number(stride) + b'\x85'
    return (
        b'\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n('
        + storage
        + b'tQ'
        + shape
        + b'\x89ccollections\nOrderedDict\n)RtRs.'
    )


def test_tensors_stay_inside_their_storage(tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    storages = {'0': np.arange(4, dtype='<f4').tobytes()}
    good = load_checkpoint_file(write_archive(path, tensor_pickle(4, 4, 1), storages))
    assert good['a'].tolist() == [0, 1, 2, 3]
    for pickled in (
        tensor_pickle(4, 4, 2),
        tensor_pickle(4, 4, 1, offset=1),
        tensor_pickle(4, 4, -1, offset=3),
        tensor_pickle(4, 1, 1, offset=-1),
        tensor_pickle(4, 2**31 - 1, 0),
        tensor_pickle(2**31 - 1, 4, 1),
        tensor_pickle(4, 4, 1, kind=b'DoubleStorage'),
    ):
        with pytest.raises(CheckpointError):
            load_checkpoint_file(write_archive(path, pickled, storages))


def test_reading_leaves_the_libraries_as_they_were(tmp_path: Path) -> None:
    hostile = HistoryBuffer([1.0], [1])
    hostile.statistics_methods = {}
    path = tmp_path / 'weights.pth'
    torch.save({'hub': OrderedDict(loss=hostile)}, path)
    before = (dict(vars(HistoryBuffer)), dict(HistoryBuffer._statistics_methods), vars(builtins).copy())
    load_checkpoint_file(path)
    assert before == (
        dict(vars(HistoryBuffer)),
        dict(HistoryBuffer._statistics_methods),
        vars(builtins).copy(),
    )


@pytest.mark.parametrize('value', ['1', 'true', 'YES'])
def test_global_override_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    path = tmp_path / 'weights.pth'
    torch.save({'a': torch.ones(1)}, path)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', value)
    with pytest.raises(CheckpointError, match='TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'):
        load_checkpoint_file(path)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '0')
    assert load_checkpoint_file(path)['a'] == 1
