"""The configs with adapters, run: training, checkpoints of adapters alone, resuming, testing, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import ultrasam.openmmlab.hooks.adapters
import ultrasam.openmmlab.models  # noqa: F401
from tests.golden import ROOT
from tests.models.test_adapters import KINDS
from tests.models.test_properties import SIZE, TINY, tiny_model
from ultrasam.checkpoints import load_checkpoint_file
from ultrasam.errors import CheckpointError
from ultrasam.openmmlab.runner import build_runner
from ultrasam.simulation import write_coco_dataset

LEAVES = [f'UltraSAM_{prompt}_refine_{kind}' for kind in KINDS for prompt in ('box', 'point')]


@pytest.fixture(scope='module')
def base() -> dict[str, torch.Tensor]:
    """Weights of a plain model."""
    return tiny_model().state_dict()


@pytest.fixture(scope='module')
def frames(tmp_path_factory: pytest.TempPathFactory, base) -> Path:
    """Simulated frames, and beside them a base and another one."""
    root = tmp_path_factory.mktemp('frames')
    write_coco_dataset(root / 'data', 4, 1, size=SIZE)
    torch.save(dict(state_dict=base), root / 'base.pth')
    torch.save(dict(state_dict={k: v + 1e-3 for k, v in base.items()}), root / 'other.pth')
    return root


def run_of(
    leaf: str, frames: Path, work_dir: Path, iterations: int = 1, validate: bool = False, **options
) -> Runner:
    """A run of a leaf of the config tree, made tiny."""
    path = ROOT / f'configs/UltraSAM/UltraSAM_full/{leaf}.py'
    # a run writes its config eight times; to lay out that text takes longer than all the rest
    config = Config.fromfile(path, import_custom_modules=False, format_python_code=False)
    config.model.data_preprocessor.pad_size_divisor = config.model.prompt_encoder.img_size = SIZE
    config.model.backbone.update(arch=TINY, img_size=SIZE)
    if leaf.endswith('lora'):
        config.model.backbone.base_checkpoint = str(frames / 'base.pth')
    else:
        config.model.backbone.frozen_stages = 1
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.update(
            data_root=str(frames / 'data'), ann_file='annotations.json', data_prefix=dict(img='images')
        )
        loader.dataset.class_agnostic = True
        for transform in loader.dataset.pipeline:
            if transform.type == 'FixScaleResize':
                transform.scale = (SIZE, SIZE)
    config.val_evaluator.ann_file = config.test_evaluator.ann_file = None
    config.train_cfg.update(max_iters=iterations, val_interval=iterations)
    config.default_hooks.checkpoint.interval = 1
    config.update(work_dir=str(work_dir), load_from=str(frames / 'base.pth'), launcher='none')
    config.experiment_name = f'{work_dir.parent.name}-{work_dir.name}-{leaf}'
    if not validate:
        config.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    config.merge_from_dict(options)
    return build_runner(config)


@pytest.mark.parametrize('leaf', LEAVES)
def test_every_leaf_trains_saves_and_is_tested(leaf, frames, base, tmp_path):
    runner = run_of(leaf, frames, tmp_path / 'train', validate=True)
    runner.train()
    saved = load_checkpoint_file(tmp_path / 'train' / 'iter_1.pth')
    adapters = set(runner.model.backbone.adapter_names)
    of_encoder = {
        name.removeprefix('backbone.') for name in saved['state_dict'] if name.startswith('backbone.')
    }
    if leaf.endswith('lora'):
        assert of_encoder == adapters
        assert saved['meta']['ultrasam']['lora']['base'] == runner.model.backbone.fingerprint()
    else:
        assert of_encoder == adapters | {
            n.removeprefix('backbone.') for n in base if n.startswith('backbone.')
        }
    assert all(
        torch.equal(saved['state_dict'][name], base[name]) for name in base if name in saved['state_dict']
    )
    assert len(saved['optimizer']['param_groups'][0]['params']) == len(adapters)
    tested = run_of(leaf, frames, tmp_path / 'test', load_from=str(tmp_path / 'train' / 'iter_1.pth'))
    scores = tested.test()
    assert all(np.isfinite(value) for value in scores.values())
    for name, tensor in runner.model.state_dict().items():
        assert torch.equal(tensor, tested.model.state_dict()[name]), name


@pytest.mark.parametrize('kind', KINDS)
def test_resumed_run_equals_the_uninterrupted_one(kind, frames, tmp_path):
    leaf = f'UltraSAM_box_refine_{kind}'
    straight = run_of(leaf, frames, tmp_path / 'straight', 2)
    straight.train()
    start = str(tmp_path / 'straight' / 'iter_1.pth')
    resumed = run_of(leaf, frames, tmp_path / 'resumed', 2, load_from=start, resume=True)
    resumed.train()
    assert resumed.iter == 2
    optimizers = [r.optim_wrapper.optimizer.state_dict()['state'] for r in (straight, resumed)]
    assert [len(state) for state in optimizers] == [len(straight.model.backbone.adapter_names)] * 2
    for step_of_one, step_of_other in zip(*(state.values() for state in optimizers), strict=True):
        assert step_of_one['step'] == step_of_other['step'] == 2


@pytest.fixture(scope='module')
def adapters(frames, tmp_path_factory) -> str:
    """What a training run with LoRA saved."""
    folder = tmp_path_factory.mktemp('lora') / 'run'
    run_of('UltraSAM_box_refine_lora', frames, folder).train()
    return str(folder / 'iter_1.pth')


class TestLoraRuns:
    """The same file of adapters, given to models that are not the one it was trained in."""

    LEAF = 'UltraSAM_box_refine_lora'

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            ({'model.backbone.base_checkpoint': None}, 'missing'),
            ({'model.backbone.base_checkpoint': 'other.pth'}, 'another base'),
            ({'model.backbone.alpha': 8}, 'alpha 16'),
            ({'model.backbone.rank': 8, 'model.backbone.alpha': 8}, 'of another shape'),
        ],
    )
    def test_is_refused(self, adapters, frames, tmp_path, options, message):
        if options.get('model.backbone.base_checkpoint'):
            options = {'model.backbone.base_checkpoint': str(frames / 'other.pth')}
        with pytest.raises(CheckpointError, match=message):
            run_of(self.LEAF, frames, tmp_path / 'test', load_from=adapters, **options).test()

    def test_complete_checkpoint_replaces_the_base(self, frames, tmp_path):
        runner = run_of(self.LEAF, frames, tmp_path / 'run', load_from=str(frames / 'other.pth'))
        before = runner.model.backbone.fingerprint()
        runner.load_or_resume()
        assert runner.model.backbone.fingerprint() != before
        other = load_checkpoint_file(frames / 'other.pth')['state_dict']
        assert all(
            torch.equal(tensor, other[n]) for n, tensor in runner.model.state_dict().items() if n in other
        )

    def test_averaged_weights_are_small_too(self, frames, tmp_path):
        hooks = [dict(type='AdapterCheckpointHook'), dict(type='EMAHook')]
        runner = run_of(self.LEAF, frames, tmp_path / 'ema', custom_hooks=hooks)
        runner.train()
        saved = load_checkpoint_file(tmp_path / 'ema' / 'iter_1.pth')
        for key in ('state_dict', 'ema_state_dict'):
            of_encoder = [name for name in saved[key] if 'backbone.' in name]
            assert len(of_encoder) == len(runner.model.backbone.adapter_names)
        resumed = run_of(
            self.LEAF, frames, tmp_path / 'ema', 2, custom_hooks=hooks,
            load_from=str(tmp_path / 'ema' / 'iter_1.pth'), resume=True,
        )  # fmt: skip
        resumed.train()
        assert resumed.iter == 2
