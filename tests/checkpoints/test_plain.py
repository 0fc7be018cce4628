"""Training state as plain data, and back."""

from __future__ import annotations

import enum
import io
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleLR

from ultrasam.errors import CheckpointError
from ultrasam.openmmlab.checkpoints.training_state import TAG, from_plain, make_plain, restore, to_plain


class Colour(str, enum.Enum):
    RED = 'red'


def through_torch(value: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


PLAIN = {
    'number': (np.float64(0.5), 0.5),
    'whole number': (np.int64(3), 3),
    'flag': (np.bool_(True), True),
    'text': (np.str_('a'), 'a'),
    'enumeration': (Colour.RED, 'red'),
    'set': ({1}, [1]),
    'nested': ({'a': (1, [np.float32(0.25)])}, {'a': (1, [0.25])}),
    'config': (ConfigDict(a=ConfigDict(b=1)), {'a': {'b': 1}}),
    'path': (Path('a/b'), 'a/b'),
    'device': (torch.device('cpu'), 'cpu'),
    'texts': (np.array(['a', 'b']), ['a', 'b']),
    'key': ({np.int64(1): 'a'}, {1: 'a'}),
}


@pytest.mark.parametrize('kind', PLAIN)
def test_becomes_plain(kind: str) -> None:
    value, expected = PLAIN[kind]
    plain = through_torch(to_plain(value, 'x'))
    assert plain == expected and type(plain) is type(expected)


@pytest.mark.parametrize('dtype', ['float64', 'float32', 'int64', 'uint8', 'bool', 'uint16'])
@pytest.mark.parametrize('shape', [(), (0,), (2, 3)])
def test_arrays_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, dtype)
    back = from_plain(through_torch(to_plain(array, 'x')))
    assert np.array_equal(back, array)
    if dtype != 'uint16':  # which torch cannot hold: such an array comes back as numbers
        assert back.dtype == array.dtype and back.shape == array.shape


def test_bytes_come_back() -> None:
    assert from_plain(through_torch(to_plain([b'\x00\xff', b''], 'x'))) == [b'\x00\xff', b'']


def test_history_comes_back() -> None:
    history = HistoryBuffer([1.0, 2.0, 3.0], [1, 2, 3], max_length=7)
    back = from_plain({'a': [through_torch(to_plain(history, 'x'))]})['a'][0]
    assert type(back) is HistoryBuffer and back.max_length == 7
    assert np.array_equal(back.data[0], history.data[0]) and np.array_equal(back.data[1], history.data[1])
    back.update(4.0)
    assert back.current() == 4 and history.current() == 3


def test_weights_and_their_versions_are_untouched() -> None:
    weights = torch.nn.BatchNorm1d(2).state_dict()
    plain = to_plain(weights, 'state_dict')
    assert plain._metadata == weights._metadata and plain['weight'] is weights['weight']
    assert type(to_plain(torch.nn.Parameter(torch.ones(1)), 'x')) is torch.Tensor


def test_what_is_no_data_is_refused_where_it_is_needed_and_left_out_where_not() -> None:
    with pytest.raises(CheckpointError, match=r'optimizer\.hooks\[1\]: a function cannot be saved'):
        make_plain({'optimizer': {'hooks': [1, through_torch]}})
    checkpoint: dict[str, Any] = {
        'meta': {
            'iter': 3,
            'writer': io.BytesIO(),
            'dataset_meta': {'classes': ('a',), 'reader': io.BytesIO()},
        },
        'message_hub': {
            'log_scalars': OrderedDict(loss=HistoryBuffer([1.0], [1])),
            'runtime_info': OrderedDict(best=np.float64(0.5), handle=io.BytesIO()),
            'resumed_keys': OrderedDict(loss=True, best=True, handle=True),
        },
    }
    left_out = make_plain(checkpoint)
    assert left_out == [
        'meta.dataset_meta.reader (BytesIO)',
        'meta.writer (BytesIO)',
        'message_hub.runtime_info.handle (BytesIO)',
    ]
    restore(loaded := through_torch(checkpoint))
    assert loaded['meta'] == {'iter': 3, 'dataset_meta': {'classes': ('a',)}}
    assert loaded['message_hub']['runtime_info'] == {'best': 0.5}
    assert list(loaded['message_hub']['resumed_keys']) == ['loss', 'best']
    assert loaded['message_hub']['log_scalars']['loss'].mean() == 1


@pytest.mark.parametrize(
    'value',
    [
        {TAG: 'history', 'log': torch.ones(2), 'count': torch.ones(3), 'max_length': 5},
        {TAG: 'history', 'log': torch.ones(2, 1), 'count': torch.ones(2, 1), 'max_length': 5},
        {TAG: 'history', 'log': torch.ones(2), 'count': torch.ones(2), 'max_length': 'x'},
        {TAG: 'array', 'values': [1]},
        {TAG: 'other'},
    ],
)
def test_malformed_state_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match='malformed'):
        from_plain([value])


def test_a_scheduler_that_holds_a_function_goes_on():
    def build():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        return optimizer, OneCycleLR(optimizer, eta_max=0.1, total_steps=10)

    optimizer, scheduler = build()
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    checkpoint = {'param_schedulers': [scheduler.state_dict()]}
    make_plain(checkpoint)
    checkpoint = through_torch(checkpoint)
    restore(checkpoint)
    again_optimizer, again = build()
    again_optimizer.param_groups[0].update(lr=optimizer.param_groups[0]['lr'])
    again.load_state_dict(checkpoint['param_schedulers'][0])
    scheduler.step()
    again.step()
    assert again.last_step == scheduler.last_step
    assert again_optimizer.param_groups[0]['lr'] == optimizer.param_groups[0]['lr']
