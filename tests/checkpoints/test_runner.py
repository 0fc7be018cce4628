"""MMEngine reads through the package: training, resuming, testing, initialising."""

from __future__ import annotations

import errno
import functools
import http.server
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModule, PretrainedInit, initialize
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from torch import nn

from tests.models.test_properties import tiny_model
from ultrasam.checkpoints import check_digest, load_checkpoint_file
from ultrasam.checkpoints.model_card import read_card
from ultrasam.errors import CheckpointError, ConfigError, OutputError
from ultrasam.openmmlab.checkpoints import loader as checkpoint_runner
from ultrasam.openmmlab.hooks.checkpoint import VerifiedBackend, VerifiedCheckpointHook
from ultrasam.openmmlab.model_cards import check_note, note_of_model

from .conftest import RunnerFactory, TinyModel
from .test_unsafe_files import Calls

LAST = ('last.pth', 'last.pth.sha256', 'last_checkpoint')


def saved(tmp_path: Path, content: Any) -> str:
    path = tmp_path / 'weights.pth'
    torch.save(content, path)
    return str(path)


def test_resume_equals_the_uninterrupted_run(make_runner: RunnerFactory, tmp_path: Path) -> None:
    straight = make_runner('straight', iterations=4)
    straight.train()
    make_runner('part', iterations=2).train()
    resumed = make_runner('part', iterations=4, load_from=str(tmp_path / 'part' / 'iter_2.pth'), resume=True)
    resumed.train()
    assert resumed.iter == 4
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    history = resumed.message_hub.get_scalar('train/loss')
    assert len(history.data[0]) == 4


def test_success_is_one_line(
    make_runner: RunnerFactory, training_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner('second', load_from=str(training_checkpoint))
    lines: list[str] = []
    monkeypatch.setattr(runner.logger, 'info', lambda text, *args: lines.append(str(text)))
    runner.load_or_resume()
    assert [line for line in lines if line.startswith('loaded')] == [
        f'loaded 9 tensors from {training_checkpoint}'
    ]


@pytest.mark.parametrize(
    'wrap',
    [
        lambda weights: {'model': weights},
        lambda weights: weights,
        lambda weights: {f'module.{key}': value for key, value in weights.items()},
    ],
)
def test_weights_wrapped_otherwise_still_enter_the_model(
    make_runner: RunnerFactory, tmp_path: Path, wrap: Any
) -> None:
    weights = {name: tensor + 1 for name, tensor in TinyModel().state_dict().items()}
    runner = make_runner(load_from=saved(tmp_path, wrap(weights)))
    runner.load_or_resume()
    assert torch.equal(runner.model.encoder.weight, weights['encoder.weight'])


@pytest.mark.parametrize(
    ('change', 'cause'),
    [
        (lambda weights: weights.pop('encoder.weight'), '1 missing'),
        (lambda weights: weights.update(extra=torch.ones(1)), '1 unexpected'),
        (lambda weights: weights.update({'encoder.bias': torch.ones(9)}), '1 of another shape'),
        (lambda weights: weights['encoder.bias'].fill_(float('nan')), 'NaN'),
    ],
)
def test_run_stops_before_weights_that_do_not_fit(
    make_runner: RunnerFactory, tmp_path: Path, change: Any, cause: str
) -> None:
    weights = TinyModel().state_dict()
    change(weights)
    path = saved(tmp_path, {'state_dict': weights})
    runner = make_runner(load_from=path)
    before = runner.model.norm.weight.clone()
    with pytest.raises(CheckpointError, match=cause) as caught:
        runner.train()
    assert path in str(caught.value)
    assert torch.equal(before, runner.model.norm.weight)


def test_stock_runner_goes_on_with_random_weights(make_runner: RunnerFactory, tmp_path: Path) -> None:
    """The trap that the hook closes; without it, the tests above would pass for nothing."""
    runner = make_runner(
        load_from=saved(tmp_path, {'state_dict': {'other.weight': torch.ones(1)}}), custom_hooks=[]
    )
    runner.load_or_resume()
    assert runner._has_loaded


def test_model_without_refinement_takes_a_refine_checkpoint(
    make_runner: RunnerFactory, tmp_path: Path
) -> None:
    source = TinyModel()
    runner = make_runner(
        model=TinyModel(refine=False), load_from=saved(tmp_path, {'state_dict': source.state_dict()})
    )
    runner.load_or_resume()
    assert torch.equal(runner.model.encoder.weight, source.encoder.weight)


def test_hook_allowances(make_runner: RunnerFactory, tmp_path: Path) -> None:
    weights = TinyModel().state_dict()
    del weights['mask_downscaling.bias']
    weights['old.bias'] = torch.ones(1)
    hook = {
        'type': 'StrictCheckpointHook',
        'allow_missing': [r'mask_downscaling\..*'],
        'allow_unexpected': ['old.*'],
    }
    runner = make_runner(load_from=saved(tmp_path, {'state_dict': weights}), custom_hooks=[hook])
    runner.load_or_resume()
    assert torch.equal(runner.model.encoder.weight, weights['encoder.weight'])


@pytest.mark.parametrize('resume', [False, True])
def test_unsafe_file_stops_the_run_and_does_not_run(
    make_runner: RunnerFactory, tmp_path: Path, resume: bool
) -> None:
    canary = tmp_path / 'canary'
    content = {'state_dict': TinyModel().state_dict(), 'optimizer': Calls(os.system, f'touch {canary}')}
    runner = make_runner(load_from=saved(tmp_path, content), resume=resume)
    with pytest.raises(CheckpointError, match=r'system'):
        runner.train()
    assert not canary.exists()


def test_averaged_weights_resume(make_runner: RunnerFactory, tmp_path: Path) -> None:
    hooks = [{'type': 'EMAHook'}, {'type': 'StrictCheckpointHook'}]
    make_runner('ema', custom_hooks=hooks).train()
    resumed = make_runner(
        'ema', iterations=3, custom_hooks=hooks, load_from=str(tmp_path / 'ema' / 'iter_2.pth'), resume=True
    )
    resumed.train()
    assert resumed.iter == 3


class Pretrained(BaseModule):
    """A backbone that MMEngine initialises from a file."""

    def __init__(self, init_cfg: dict[str, Any]) -> None:
        super().__init__(init_cfg)
        self.encoder = nn.Linear(2, 3)


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_pretrained_initialisation_reads_safely(safe: None, tmp_path: Path, prefix: str | None) -> None:
    values = {
        f'{prefix or ""}encoder.{name}': tensor for name, tensor in nn.Linear(2, 3).state_dict().items()
    }
    init_cfg = {'type': 'Pretrained', 'checkpoint': saved(tmp_path, {'model': values}), 'prefix': prefix}
    module = Pretrained(init_cfg)
    initialize(module, init_cfg)
    assert torch.equal(module.encoder.weight, values[f'{prefix or ""}encoder.weight'])
    canary = tmp_path / 'canary'
    saved(tmp_path, {'state_dict': values, 'meta': Calls(os.system, f'touch {canary}')})
    with pytest.raises(CheckpointError):
        initialize(module, init_cfg)
    assert not canary.exists()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        logging.getLogger(__name__).debug(format, *args)


def test_downloads_are_read_safely(safe: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    canary = tmp_path / 'canary'
    served = tmp_path / 'served'
    served.mkdir()
    weights = {'state_dict': TinyModel().state_dict()}
    torch.save(weights, served / 'good.pth')
    torch.save(weights, served / 'good-01234567.pth')
    torch.save({**weights, 'meta': Calls(os.system, f'touch {canary}')}, served / 'bad.pth')
    server = http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), functools.partial(QuietHandler, directory=str(served))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f'http://127.0.0.1:{server.server_port}'
    try:
        load_checkpoint(TinyModel(), f'{address}/good.pth', strict=True)
        with pytest.raises(CheckpointError, match='system'):
            load_checkpoint(TinyModel(), f'{address}/bad.pth')
        for name in ('good-01234567.pth', 'none.pth'):
            with pytest.raises(CheckpointError, match='download failed'):
                load_checkpoint(TinyModel(), f'{address}/{name}')
    finally:
        server.shutdown()
        server.server_close()
    assert not canary.exists()
    assert sorted(path.name for path in (tmp_path / 'hub' / 'checkpoints').iterdir()) == [
        'bad.pth',
        'good.pth',
    ]


def assert_plain(path: Path) -> dict[str, Any]:
    """The stock reader of torch opens it, with everything that runs code switched off."""
    content = torch.load(path, weights_only=True)
    assert check_digest(path), 'its sha256 is recorded'
    return content


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*') if path.is_file() and path.suffix != '.py')


VERIFIED = {'type': 'VerifiedCheckpointHook', 'by_epoch': False, 'interval': 1}


def verified(**options: Any) -> dict[str, Any]:
    return {'default_hooks': {'checkpoint': {**VERIFIED, **options}}}


def test_our_training_checkpoint_is_plain_data_and_resumes(
    make_runner: RunnerFactory, tmp_path: Path
) -> None:
    straight = make_runner('straight', iterations=4, **verified())
    straight.train()
    make_runner('part', iterations=2, **verified()).train()
    content = assert_plain(tmp_path / 'part' / 'iter_2.pth')
    assert content['message_hub']['log_scalars']['train/loss']['log'].tolist()
    resumed = make_runner('part', iterations=4, resume=True, **verified())
    resumed.train()
    assert resumed.iter == 4
    for name, tensor in straight.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    history = resumed.message_hub.get_scalar('train/loss').data[0]
    assert np.array_equal(history, straight.message_hub.get_scalar('train/loss').data[0])


def test_ours_goes_on_from_the_stock_runner_and_back(make_runner: RunnerFactory, tmp_path: Path) -> None:
    stock = {'default_hooks': {'checkpoint': dict(VERIFIED, type='CheckpointHook')}}
    make_runner('part', iterations=2, **stock).train()
    make_runner('part', iterations=3, resume=True, **verified()).train()
    assert_plain(tmp_path / 'part' / 'iter_3.pth')
    # the hook restores what a stock runner reads as plain data
    back = make_runner('part', kind=Runner, iterations=4, resume=True, **stock)
    back.train()
    assert back.iter == 4
    straight = make_runner('straight', iterations=4, **stock)
    straight.train()
    assert torch.equal(straight.model.encoder.weight, back.model.encoder.weight)


def test_older_checkpoints_go_after_the_new_one_is_there(
    make_runner: RunnerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    put = VerifiedBackend.put

    def count(self: VerifiedBackend, obj: bytes, filepath: str) -> None:
        put(self, obj, filepath)
        counts.append(len(list((tmp_path / 'run').glob('iter_*.pth'))))

    monkeypatch.setattr(VerifiedBackend, 'put', count)
    make_runner(iterations=3, **verified(max_keep_ckpts=1)).train()
    assert counts == [1, 2, 2]
    assert files(tmp_path / 'run') == ['iter_3.pth', 'iter_3.pth.sha256', *LAST]
    assert (tmp_path / 'run' / 'last_checkpoint').read_text() == str(tmp_path / 'run' / 'iter_3.pth')


def test_a_save_that_fails_leaves_the_previous_checkpoint(
    make_runner: RunnerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runner(iterations=1, **verified(max_keep_ckpts=1)).train()
    runner = make_runner(iterations=2, resume=True, **verified(max_keep_ckpts=1))

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('ultrasam.atomic.os.fsync', full)
    with pytest.raises(OutputError, match='No space left'):
        runner.train()
    monkeypatch.undo()
    assert files(tmp_path / 'run') == ['iter_1.pth', 'iter_1.pth.sha256', *LAST]
    assert_plain(tmp_path / 'run' / 'iter_1.pth')


def test_best_checkpoint_replaces_the_previous_best(make_runner: RunnerFactory, tmp_path: Path) -> None:
    runner = make_runner(iterations=1, **verified(save_best='score', rule='greater', max_keep_ckpts=2))
    hook = next(hook for hook in runner.hooks if isinstance(hook, VerifiedCheckpointHook))
    runner.train()
    for score in (np.float64(0.1), 0.3, 0.2):
        runner.train_loop._iter += 1
        hook.after_val_epoch(runner, {'score': score})
    assert sorted(p.name for p in (tmp_path / 'run').glob('best_*')) == [
        'best_score_iter_3.pth',
        'best_score_iter_3.pth.sha256',
    ]
    assert_plain(tmp_path / 'run' / 'best_score_iter_3.pth')


def test_diverged_weights_are_not_saved(make_runner: RunnerFactory, tmp_path: Path) -> None:
    runner = make_runner(iterations=3, **verified(max_keep_ckpts=1))

    class Diverges(Hook):
        priority = 'NORMAL'

        def after_train_iter(self, runner: Runner, *args: Any, **options: Any) -> None:
            if runner.iter == 1:
                runner.model.encoder.weight.data[0, 0] = float('nan')

    runner.register_hook(Diverges())
    with pytest.raises(CheckpointError, match=r'iteration 2, not saved: 1 of \d+ tensors hold NaN'):
        runner.train()
    assert files(tmp_path / 'run') == ['iter_1.pth', 'iter_1.pth.sha256', *LAST]


def test_only_local_files_are_written() -> None:
    with pytest.raises(ConfigError, match='local files only'):
        VerifiedCheckpointHook(backend_args={'backend': 'petrel'})


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def no_record(path: Path) -> None:
    Path(f'{path}.sha256').unlink()


def damage_pointed_file(run: Path) -> None:
    flip(run / 'iter_2.pth')


def truncate_without_record(run: Path) -> None:
    no_record(run / 'iter_2.pth')
    os.truncate(run / 'iter_2.pth', 700)


def point_to(text: str) -> Any:
    return lambda run: (run / 'last_checkpoint').write_text(text)


def lose_pointed_file(run: Path) -> None:
    (run / 'iter_2.pth').unlink()


def point_outside(run: Path) -> None:
    outside = run.parent / 'outside.pth'
    outside.write_bytes((run / 'iter_2.pth').read_bytes())
    (run / 'last_checkpoint').write_text(str(outside))


@pytest.mark.parametrize(
    ('fault', 'iteration', 'said'),
    [
        (damage_pointed_file, 1, 'damaged or exchanged'),
        (truncate_without_record, 1, 'truncated or damaged'),
        (lose_pointed_file, 1, 'which is missing'),
        (point_outside, 2, 'no file of this run'),
        (point_to('/etc/passwd'), 2, 'no file of this run'),
        (point_to(''), 2, 'names no checkpoint'),
        (point_to('iter_9.pth'), 2, 'which is missing'),
    ],
)
def test_resume_falls_back_to_the_newest_whole_checkpoint_aloud(
    make_runner: RunnerFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Any,
    iteration: int,
    said: str,
) -> None:
    make_runner(iterations=2, **verified()).train()
    fault(tmp_path / 'run')
    runner = make_runner(iterations=3, resume=True, **verified())
    warnings: list[str] = []
    monkeypatch.setattr(runner.logger, 'warning', lambda text, *args: warnings.append(str(text)))
    resumed_at: list[int] = []
    monkeypatch.setattr(
        runner, 'resume', lambda path: resumed_at.append(load_checkpoint_file(path)['meta']['iter'])
    )
    runner.train()
    assert resumed_at == [iteration]
    assert any('not resumed from' in line and said in line for line in warnings)
    assert any('going on from' in line for line in warnings)


def test_a_moved_run_resumes(make_runner: RunnerFactory, tmp_path: Path) -> None:
    make_runner(iterations=1, **verified()).train()
    shutil.move(tmp_path / 'run', tmp_path / 'moved')
    runner = make_runner('moved', iterations=2, resume=True, **verified())
    runner.train()
    assert runner.iter == 2


def test_resume_without_a_whole_checkpoint_stops_and_without_any_starts_aloud(
    make_runner: RunnerFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner(iterations=1, resume=True, **verified())
    warnings: list[str] = []
    monkeypatch.setattr(runner.logger, 'warning', lambda text, *args: warnings.append(str(text)))
    runner.train()
    assert any('training starts from the beginning' in line for line in warnings)
    flip(tmp_path / 'run' / 'iter_1.pth')
    with pytest.raises(CheckpointError, match='none of its checkpoints is whole'):
        make_runner(iterations=2, resume=True, **verified()).train()


def test_config_inside_a_checkpoint_is_not_executed(make_runner: RunnerFactory, tmp_path: Path) -> None:
    make_runner('part', iterations=1, **verified()).train()
    path = tmp_path / 'part' / 'iter_1.pth'
    content = torch.load(path, weights_only=True)
    canary = tmp_path / 'canary'
    content['meta']['config'] = f'import os\nos.mkdir({str(canary)!r})\n'
    torch.save(content, path)
    no_record(path)
    make_runner('part', iterations=2, resume=True, load_from=str(path), **verified()).train()
    assert not canary.exists()


@pytest.mark.parametrize(
    'scheme', ['petrel://bucket/a.pth', 's3://bucket/a.pth', 'pavi://a.pth', 'x:s3://b/a.pth']
)
def test_storages_that_read_pickles_are_refused(safe: None, scheme: str) -> None:
    with pytest.raises(CheckpointError, match='Copy the file to this machine'):
        load_checkpoint(TinyModel(), scheme)


def test_collections_are_read_safely(safe: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = {**nn.Linear(2, 3).state_dict(), 'fc.weight': torch.ones(1), 'fc.bias': torch.ones(1)}
    path = saved(tmp_path, classifier)
    fetched: list[str] = []

    def fetch(address: str, map_location: Any = None) -> Any:
        fetched.append(address)
        return checkpoint_runner.load_from_verified_file(path, map_location)

    monkeypatch.setattr(checkpoint_runner, 'load_from_verified_http', fetch)
    for name in ('torchvision://resnet50', 'modelzoo://resnet50', 'open-mmlab://detectron2/resnet50_caffe'):
        layer = nn.Linear(2, 3)
        initialize(layer, {'type': 'Pretrained', 'checkpoint': name})
        assert torch.equal(layer.weight, classifier['weight'])
    assert len(fetched) == 3 and all(address.startswith('https://') for address in fetched)
    with pytest.raises(CheckpointError, match=r'has no .resnet5..*Did you mean'):
        load_checkpoint(TinyModel(), 'torchvision://resnet5')
    with pytest.raises(CheckpointError, match='has no'):
        load_checkpoint(TinyModel(), 'mmcls://nothing')


@pytest.mark.parametrize(
    ('change', 'options', 'cause'),
    [
        (lambda w: w.pop('backbone.encoder.bias'), {}, r'1 missing \(encoder\.bias\)'),
        (lambda w: w.update({'backbone.more': torch.ones(1)}), {}, r'1 unexpected \(more\)'),
        (lambda w: w.update({'backbone.encoder.bias': torch.ones(9)}), {}, 'size mismatch'),
        (lambda w: w['backbone.encoder.bias'].fill_(float('nan')), {}, 'NaN'),
        (
            lambda w: None,
            {'prefix': 'neck'},
            r"no weights under the prefix 'neck\.'; its parts are backbone, head",
        ),
        (lambda w: None, {'prefix': None}, '2 missing'),
    ],
)
def test_pretrained_initialisation_is_strict(
    safe: None, tmp_path: Path, change: Any, options: dict[str, Any], cause: str
) -> None:
    weights = {f'backbone.encoder.{k}': v.clone() for k, v in nn.Linear(2, 3).state_dict().items()}
    weights['head.weight'] = torch.ones(1)
    change(weights)
    init_cfg = {'type': 'Pretrained', 'checkpoint': saved(tmp_path, weights), 'prefix': 'backbone', **options}
    with pytest.raises(CheckpointError, match=cause):
        initialize(Pretrained(init_cfg), init_cfg)


def test_pretrained_initialisation_tells_what_it_left_out(
    safe: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(
        'ultrasam.openmmlab.checkpoints.pretrained.print_log', lambda text, **options: lines.append(text)
    )
    weights = {f'backbone.encoder.{k}': v for k, v in nn.Linear(2, 3).state_dict().items()}
    del weights['backbone.encoder.bias']
    path = saved(tmp_path, {**weights, 'backbone.old': torch.ones(1), 'head.weight': torch.ones(1)})
    init_cfg = {
        'type': 'Pretrained',
        'checkpoint': path,
        'prefix': 'backbone',
        'allow_missing': [r'encoder\.bias'],
        'allow_unexpected': ['old'],
    }
    initialize(Pretrained(init_cfg), init_cfg)
    assert lines == [
        f'Pretrained initialised from {path}: 1 tensors match; 1 missing as allowed (encoder.bias); '
        "1 unexpected as allowed (old); 1 outside the prefix 'backbone' left out"
    ]


def test_whole_numbers_do_not_become_weights(make_runner: RunnerFactory, tmp_path: Path) -> None:
    weights = {name: tensor.clone() for name, tensor in TinyModel().state_dict().items()}
    weights['encoder.bias'] = weights['encoder.bias'].long()
    weights['encoder.weight'] = weights['encoder.weight'].half()
    runner = make_runner(load_from=saved(tmp_path, {'state_dict': weights}))
    with pytest.raises(CheckpointError, match=r'1 of another type \(encoder\.bias torch\.int64'):
        runner.load_or_resume()


@pytest.mark.parametrize(
    ('note', 'cause'),
    [
        ({'mlp_skip': 'single'}, "mlp_skip is 'single' in the checkpoint and 'doubled' in the model"),
        ({'preprocessing': 'min_max'}, 'preprocessing is'),
        ({'preprocessing': 'imagenet', 'pixel_mean': [0.485, 0.456, 0.406]}, 'pixel_mean is'),
        ({'box_mask': 'ellipse'}, 'box_mask is'),
        ({}, None),
        ({'mlp_skip': 'doubled', 'preprocessing': 'imagenet', 'pixel_mean': [123.675, 116.28, 103.53]}, None),
    ],
)
def test_weights_trained_otherwise_are_refused(note: dict[str, Any], cause: str | None) -> None:
    model = tiny_model()
    meta = {'ultrasam': note}
    if cause is None:
        check_note(model, meta, source='c.pth')
        return
    with pytest.raises(CheckpointError, match=f'trained otherwise: {cause}'):
        check_note(model, meta, source='c.pth')
    check_note(model, meta, source='c.pth', may_differ=tuple(note))


def test_note_of_a_model_is_that_of_its_checkpoint() -> None:
    model = tiny_model()
    note = note_of_model(model)
    assert note['mlp_skip'] == 'doubled' and note['preprocessing'] == 'imagenet'
    check_note(model, {'ultrasam': note}, source='c.pth')
    assert read_card(model.state_dict(), {'ultrasam': note}, 'c.pth').pixel_mean == tuple(note['pixel_mean'])
    assert note_of_model(TinyModel()) == {}


def test_a_run_leaves_the_loaders_of_mmengine_as_they_were(
    make_runner: RunnerFactory, tmp_path: Path
) -> None:
    before = dict(CheckpointLoader._schemes), WEIGHT_INITIALIZERS.get('Pretrained')
    assert all(loader.__module__.startswith('mmengine.') for loader in before[0].values())
    assert before[1] is PretrainedInit
    make_runner(iterations=1, **verified()).train()
    runner = make_runner(iterations=2, resume=True, **verified())
    canary = tmp_path / 'canary'
    path = saved(tmp_path, {'state_dict': {}, 'meta': Calls(os.system, f'touch {canary}')})
    with pytest.raises(CheckpointError, match='nothing was executed'):
        runner.load_checkpoint(path)
    runner.train()
    assert (dict(CheckpointLoader._schemes), WEIGHT_INITIALIZERS.get('Pretrained')) == before
    assert not canary.exists()
