"""Unwrapping, comparing and loading weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ultrasam.checkpoints import KeyReport, compare_keys, load_strict, state_dict_of
from ultrasam.errors import CheckpointError

from .conftest import TinyModel


@pytest.mark.parametrize(
    'wrap',
    [
        lambda weights: {'meta': {}, 'state_dict': weights},
        lambda weights: {'model': weights, 'epoch': 3},
        lambda weights: weights,
        lambda weights: {'state_dict': {f'module.{name}': tensor for name, tensor in weights.items()}},
    ],
)
def test_weights_are_found(wrap: Any) -> None:
    model = TinyModel()
    found = state_dict_of(wrap(model.state_dict()), 'c.pth')
    assert list(found) == list(model.state_dict())


def test_prefix_that_only_some_names_have_stays() -> None:
    weights = {'module.a': torch.ones(1), 'b': torch.ones(1)}
    assert list(state_dict_of(weights, 'c.pth')) == ['module.a', 'b']


@pytest.mark.parametrize(
    'checkpoint',
    [
        {},
        {'state_dict': {}},
        {'state_dict': None},
        {'meta': {}, 'weights': {}},
        {'state_dict': {'a': 1.0}},
        {'state_dict': {3: torch.ones(1)}},
    ],
)
def test_checkpoint_without_weights_is_explained(checkpoint: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r'c\.pth'):
        state_dict_of(checkpoint, 'c.pth')


def test_report_counts_and_names() -> None:
    report = compare_keys(
        {'a': (2,), 'b': (3, 1), 'c': (1,), 'bn.num_batches_tracked': ()},
        {'a': torch.ones(2), 'b': torch.ones(4), 'x': torch.ones(1), 'old.y': torch.ones(1)},
        allow_unexpected=(r'old\..*',),
    )
    assert report == KeyReport(
        matched=1,
        missing=('c',),
        unexpected=('x',),
        misshapen=(('b', (4,), (3, 1)),),
        tolerated_missing=('bn.num_batches_tracked',),
        tolerated_unexpected=('old.y',),
    )
    assert not report.fits
    assert report.message.startswith(
        '1 tensors match; 1 missing (c); 1 unexpected (x); 1 of another shape (b [4] instead of [3, 1]); '
    )


def test_allowance_matches_whole_names() -> None:
    report = compare_keys(
        {'a': ()}, {'a': torch.tensor(1), 'a_bias': torch.tensor(1)}, allow_unexpected=('a',)
    )
    assert report.unexpected == ('a_bias',)


def test_nothing_in_common_never_fits() -> None:
    assert not compare_keys(
        {'a': ()}, {'b': torch.tensor(1)}, allow_missing=('.*',), allow_unexpected=('.*',)
    ).fits


def change_nothing(weights: dict[str, torch.Tensor]) -> None:
    """The good case."""


@pytest.mark.parametrize(
    ('change', 'cause'),
    [
        (lambda weights: weights.pop('encoder.weight'), r'1 missing \(encoder\.weight\)'),
        (lambda weights: weights.update(extra=torch.ones(1)), r'1 unexpected \(extra\)'),
        (
            lambda weights: weights.update({'encoder.bias': torch.ones(9)}),
            r'encoder\.bias \[9\] instead of \[3\]',
        ),
        (
            lambda weights: weights['encoder.bias'].fill_(float('inf')),
            r'NaN or infinite values \(encoder\.bias\)',
        ),
    ],
)
def test_load_strict_refuses_and_leaves_the_model_alone(change: Any, cause: str) -> None:
    weights = {name: tensor.clone() + 1 for name, tensor in TinyModel().state_dict().items()}
    change(weights)
    model = TinyModel()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=cause):
        load_strict(model, weights, source='c.pth')
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_load_strict_loads() -> None:
    source, target = TinyModel(), TinyModel()
    report = load_strict(target, source.state_dict(), source='c.pth')
    assert report.matched == len(source.state_dict()) and report.fits
    assert torch.equal(source.encoder.weight, target.encoder.weight)


def test_model_declares_what_it_does_not_need() -> None:
    report = load_strict(TinyModel(refine=False), TinyModel().state_dict(), source='c.pth')
    assert report.tolerated_unexpected == ('mask_downscaling.weight', 'mask_downscaling.bias')
    with pytest.raises(CheckpointError, match='2 missing'):
        load_strict(TinyModel(), TinyModel(refine=False).state_dict(), source='c.pth')
    report = load_strict(
        TinyModel(),
        TinyModel(refine=False).state_dict(),
        source='c.pth',
        allow_missing=(r'mask_downscaling\..*',),
    )
    assert len(report.tolerated_missing) == 2


def test_published_names_of_the_contract_fit_without_refinement() -> None:
    contract = Path(__file__).parents[3] / 'shared' / 'golden' / 'checkpoint_names.json'
    if not contract.exists():
        pytest.skip('the contract of the published names is not beside this checkout')
    import json

    variants = json.loads(contract.read_text())
    refine = {
        name: torch.empty(entry['shape'], device='meta') for name, entry in variants['box_refine'].items()
    }
    plain = {name: entry['shape'] for name, entry in variants['point_no_refine(sam.py base)'].items()}
    report = compare_keys(plain, refine, allow_unexpected=(r'prompt_encoder\.mask_downscaling\..*',))
    assert report.fits and report.matched == 283 and len(report.tolerated_unexpected) == 10
    lora = {name: entry['shape'] for name, entry in variants['box_refine_lora'].items()}
    report = compare_keys(lora, refine)
    assert len(report.missing) == 24 and len(report.unexpected) == 177


def test_wrapped_model_is_unwrapped() -> None:
    from mmengine.model import MMDistributedDataParallel

    class Wrapper(MMDistributedDataParallel):
        def __init__(self, module: nn.Module) -> None:
            nn.Module.__init__(self)
            self.module = module

    assert load_strict(Wrapper(TinyModel()), TinyModel().state_dict(), source='c.pth').fits
