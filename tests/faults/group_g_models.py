"""Group G, what a file is for: checkpoints of another model, trained otherwise, or from earlier releases."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import load_checkpoint

from tests.faults.group_g import ENTRIES, ROOT, initialise, saved, stock_load
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived
from tests.faults.tiny import TinyModel, judge, loaders, make_runner, same, stock_hook
from tests.models.test_properties import tiny_model
from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of


def _misfits() -> dict[str, dict[str, torch.Tensor]]:
    good = {name: tensor.clone() for name, tensor in TinyModel().state_dict().items()}
    return {
        'missing': {name: tensor for name, tensor in good.items() if name != 'layers.1.bias'},
        'unexpected': {**good, 'layers.9.bias': torch.ones(8)},
        'renamed': {f'image_{name}': tensor for name, tensor in good.items()},
        'wider': TinyModel(width=16).state_dict(),
        'deeper': TinyModel(depth=4).state_dict(),
        'shallower': TinyModel(depth=1).state_dict(),
        'transposed': {**good, 'encoder.weight': good['encoder.weight'].t().contiguous()},
        'whole numbers': {**good, 'encoder.bias': torch.arange(8)},
        'nothing': {},
        'empty names': {'': torch.ones(1)},
    }


@fault('G4.runner', 'a checkpoint of another architecture, by load_from and resume', stock_losses=0.7)
def misfit_runner(arena: Arena) -> Iterator[Trial]:
    for name, misfit in _misfits().items():
        for entry in ('load_from', 'resume'):
            path = arena.work / 'weights.pth'
            content = {'meta': {'iter': 0, 'epoch': 0}, 'state_dict': misfit, 'message_hub': _empty_hub()}
            path.write_bytes(saved(content))
            enter = functools.partial(ENTRIES[entry], arena, path)
            yield Trial(f'{name} by {entry}', functools.partial(judge, arena, path, enter))


def _empty_hub() -> dict[str, Any]:
    return {'log_scalars': {}, 'runtime_info': {}, 'resumed_keys': {}}


@fault('G4.pretrained', 'a module initialised from a checkpoint that is not its own', stock_losses=0.7)
def misfit_pretrained(arena: Arena) -> Iterator[Trial]:
    prefixed = {f'backbone.{name}': tensor for name, tensor in TinyModel().state_dict().items()}
    cases: dict[str, tuple[dict[str, torch.Tensor], str | None]] = {
        **{name: (misfit, None) for name, misfit in _misfits().items()},
        'wrong prefix': (prefixed, 'neck'),
        'prefix forgotten': (prefixed, None),
        'part of the prefix': (prefixed, 'backbone.layers'),
    }
    for name, (state, prefix) in cases.items():
        path = arena.work / 'weights.pth'
        path.write_bytes(saved({'state_dict': state}))
        enter = functools.partial(initialise, arena, TinyModel(), path, prefix)
        yield Trial(name, functools.partial(judge, arena, path, enter))


@fault('G4.ultrasam', 'encoders of other sizes and other detectors into UltraSam', stock_losses=0.9)
def misfit_ultrasam(arena: Arena) -> Iterator[Trial]:
    good = tiny_model().state_dict()
    wide = dict(embed_dims=64, num_layers=2, num_heads=4, feedforward_channels=64, global_attn_indexes=[1])
    cases = {
        'larger encoder': tiny_model(**{'backbone.arch': dict(wide, _delete_=True)}).state_dict(),
        'encoder alone': {name: value for name, value in good.items() if name.startswith('backbone.')},
        'names of segment-anything': {f'image_encoder.{name}': value for name, value in good.items()},
        'of a parallel wrapper, in part': {
            (f'module.{name}' if index % 2 else name): value
            for index, (name, value) in enumerate(good.items())
        },
    }
    for name, state in cases.items():
        path = arena.work / 'weights.pth'
        path.write_bytes(saved({'state_dict': state}))

        def enter(path: Path = path) -> None:
            model = tiny_model()
            if not arena.ours:
                with loaders(arena):
                    load_checkpoint(model, str(path))
                return
            load_strict(model, state_dict_of(load_checkpoint_file(path), path), source=path)

        yield Trial(name, functools.partial(judge, arena, path, enter))


@fault('G5.values', 'weights that are not finite', stock_losses=0.9)
def not_finite(arena: Arena) -> Iterator[Trial]:
    for name, value in (('NaN', np.nan), ('infinite', np.inf), ('minus infinite', -np.inf)):
        for dtype in (torch.float32, torch.float16):
            state = {key: tensor.clone().to(dtype) for key, tensor in TinyModel().state_dict().items()}
            state['layers.0.bias'][3] = value
            for entry in ('load_from', 'Pretrained'):
                path = arena.work / 'weights.pth'
                model = {
                    key.removeprefix('encoder.'): tensor for key, tensor in state.items() if 'encoder' in key
                }
                model['bias'] = state['layers.0.bias']
                path.write_bytes(saved({'state_dict': state if entry == 'load_from' else model}))
                enter = functools.partial(ENTRIES[entry], arena, path)
                yield Trial(f'{name} {dtype} by {entry}', functools.partial(judge, arena, path, enter))


@fault(
    'G5.note',
    'weights trained on otherwise normalised images, or with another skip connection',
    stock_losses=1,
)
def trained_otherwise(arena: Arena) -> Iterator[Trial]:
    notes: dict[str, dict[str, Any]] = {
        'range of each image': {'preprocessing': 'min_max'},
        'other mean': {'preprocessing': 'imagenet', 'pixel_mean': [0.485, 0.456, 0.406]},
        'other deviation': {'preprocessing': 'imagenet', 'pixel_std': [1, 1, 1]},
        'single skip': {'mlp_skip': 'single'},
        'ellipse in the box': {'box_mask': 'ellipse'},
    }
    for name, note in notes.items():
        path = arena.work / 'weights.pth'
        path.write_bytes(saved({'meta': {'ultrasam': note}, 'state_dict': tiny_model().state_dict()}))

        def enter(path: Path = path) -> None:
            make_runner(arena, model=tiny_model(), load_from=str(path)).load_or_resume()

        yield Trial(name, functools.partial(judge, arena, path, enter))


@fault('G6.released', 'every checkpoint that this project has released still loads', stock_losses=0)
def released(arena: Arena) -> Iterator[Trial]:
    for path in sorted((ROOT / 'weights').glob('*.pth')):
        yield Trial(path.name, functools.partial(_loads, arena, path))


def _loads(arena: Arena, path: Path) -> Verdict:
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    import ultrasam.openmmlab.registry  # noqa: F401 (registers the model)
    from ultrasam.checkpoints.model_card import read_card
    from ultrasam.openmmlab.model_cards import detector_config

    init_default_scope('mmdet')
    content = load_checkpoint_file(path) if arena.ours else stock_load(path)
    state = state_dict_of(content, path)
    model = MODELS.build(detector_config(read_card(state, content.get('meta'), str(path))))
    if not arena.ours:
        with loaders(arena):
            load_checkpoint(model, str(path), strict=True)
        return survived()
    report = load_strict(model, state, source=path)
    left = [name for name in model.state_dict() if name not in state]
    return lossy(f'not filled: {left}') if left else survived(report.message)


@fault('G6.training', 'training checkpoints of earlier formats resume', stock_losses=0)
def earlier_training(arena: Arena) -> Iterator[Trial]:
    def attempt(hooks: dict[str, Any] | None, legacy: bool) -> Verdict:
        options = {} if hooks is None else {'default_hooks': hooks}
        make_runner(arena, iterations=2, **options).train()
        path = arena.work / 'run' / 'iter_2.pth'
        if legacy:
            content = torch.load(path, weights_only=False)
            torch.save(content, path, _use_new_zipfile_serialization=False)
            Path(f'{path}.sha256').unlink(missing_ok=True)
        before = torch.load(path, weights_only=False)['state_dict']
        runner = make_runner(arena, iterations=3, load_from=str(path), resume=True)
        runner.load_or_resume = functools.partial(_checked_resume, runner, before)
        runner.train()
        scalars = runner.message_hub.get_scalar('train/loss').data[0]
        complete = runner.iter == 3 and len(scalars) == 3
        return survived() if complete else quiet(f'iteration {runner.iter}, {len(scalars)} losses')

    yield Trial('MMEngine with log history as objects', functools.partial(attempt, stock_hook(), False))
    yield Trial('MMEngine, stream of torch before 1.6', functools.partial(attempt, stock_hook(), True))
    yield Trial('as saved today', functools.partial(attempt, None, False))


def _checked_resume(runner: Any, before: dict[str, torch.Tensor]) -> None:
    type(runner).load_or_resume(runner)
    if not same(dict(runner.model.state_dict()), dict(before)):
        raise ValueError('resumed with other weights')
