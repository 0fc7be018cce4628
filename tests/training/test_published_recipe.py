"""A run takes the steps of the published recipe: 20 losses beside those of the recipe written out plainly."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module
from torch.utils.data import DataLoader

import ultrasam.openmmlab.registry  # noqa: F401
from tests.golden import ROOT, SMALL_ARCH, needs_frames, needs_golden, read_json, seeded_model
from tests.models.test_golden import training_frame
from tests.models.test_properties import SIZE, TINY, item, random_prompts, tiny_model
from tests.training.plain_recipe import Image, Instance, train

STEPS = 20


class Losses(Hook):
    """The losses of every step."""

    def __init__(self) -> None:
        self.history: list[dict[str, float]] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.history.append({name: float(v) for name, v in outputs.items() if name.startswith('loss_')})


class Copies:
    """The same samples again and again, each time a copy."""

    def __init__(self, samples: Sequence[dict]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict:
        return copy.deepcopy(self.samples[index])


def run_losses(
    model: torch.nn.Module, samples: Sequence[dict], work_dir: Path, batch_size: int, options: dict
) -> list[dict[str, float]]:
    """Losses of the run that the schedule of the configs asks for."""
    schedule = Config.fromfile(ROOT / 'configs/_base_/schedules/ultrasam_30k.py')
    schedule.merge_from_dict({'train_cfg.max_iters': STEPS, **options})
    losses = Losses()
    Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=DataLoader(Copies(samples), batch_size, collate_fn=pseudo_collate),
        train_cfg=schedule.train_cfg,
        optim_wrapper=schedule.optim_wrapper,
        param_scheduler=schedule.param_scheduler,
        default_hooks=dict(checkpoint=None),
        custom_hooks=[losses],
        experiment_name=str(work_dir),
    ).train()
    return losses.history


def as_image(sample: dict) -> Image:
    """A packed sample as the recipe takes it."""
    instances = []
    annotated = sample['data_samples'].gt_instances
    for prompt, mask in zip(annotated.prompts, annotated.masks.masks, strict=True):
        coords, kinds = prompt.tokens()
        instances.append(
            Instance(torch.from_numpy(coords), torch.from_numpy(kinds), torch.from_numpy(mask.copy()))
        )
    return Image(sample['inputs'], instances)


def batches_of(samples: Sequence[dict], batch_size: int) -> list[list[Image]]:
    images = [as_image(sample) for sample in samples]
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    return [batches[step % len(batches)] for step in range(STEPS)]


def assert_same_losses(ours: list[dict[str, float]], plain: list[dict[str, float]], tolerance: float) -> None:
    assert len(ours) == len(plain) == STEPS
    for step, (a, b) in enumerate(zip(ours, plain, strict=True)):
        assert set(a) == set(b)
        for name, value in b.items():
            assert a[name] == pytest.approx(value, rel=tolerance, abs=tolerance), (step, name)


@pytest.fixture(autouse=True)
def no_compilers_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner asks every compiler for its version, which takes longer than the rest."""
    monkeypatch.setattr(runner_module, 'collect_env', dict)


@pytest.mark.slow
@needs_golden
@needs_frames
def test_recorded_weights_on_real_frames(tmp_path: Path):
    recorded = read_json('small_losses.json')['small_refine']
    samples = [training_frame(i, p) for i, p in zip(recorded['image_ids'], recorded['prompts'], strict=True)]
    model = seeded_model(**{'decoder.dropout': 0.0})
    weights = copy.deepcopy(model.state_dict())
    ours = run_losses(model, samples, tmp_path / 'run', len(samples), {})
    for name, value in recorded['losses'].items():
        assert ours[0][name] == pytest.approx(value, rel=2e-4), name
    plain = train(
        batches_of(samples, len(samples)),
        weights,
        size=256,
        heads=SMALL_ARCH['num_heads'],
        whole=SMALL_ARCH['global_attn_indexes'],
    )
    assert_same_losses(ours, plain, 2e-4)
    # the warm-up is slow, but the losses are not those of the start any more
    assert ours[-1]['loss_focal'] < 0.999 * ours[0]['loss_focal']


def test_high_rate_on_changing_batches_of_many_instances(tmp_path: Path):
    model = tiny_model()
    weights = copy.deepcopy(model.state_dict())
    counts, sizes = (1, 2, 0, 3), ((100, 128), (128, 64), (77, 128), (128, 128))
    samples = [
        item(random_prompts(count, i), i, size)
        for i, (count, size) in enumerate(zip(counts, sizes, strict=True))
    ]
    options = {
        'optim_wrapper.optimizer.lr': 1e-3,
        'param_scheduler.0.end': 6,
        'param_scheduler.1.milestones': [14],
    }
    ours = run_losses(model, samples, tmp_path / 'run', 2, options)
    plain = train(
        batches_of(samples, 2),
        weights,
        size=SIZE,
        heads=TINY['num_heads'],
        whole=TINY['global_attn_indexes'],
        rate=1e-3,
        warm_up=6,
        milestones=(14,),
    )
    assert_same_losses(ours, plain, 1e-3)
    assert sum(ours[-1].values()) < 0.9 * sum(ours[2].values())
