"""Training as typed: it learns, survives a kill, and logs what it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.commands.runs import NANO, environment, logged, run
from tests.golden import ROOT
from ultrasam.simulation import write_coco_dataset

pytestmark = pytest.mark.slow

ITERATIONS = 240


@pytest.fixture(scope='module')
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated frames for training and validation."""
    root = tmp_path_factory.mktemp('frames')
    write_coco_dataset(root / 'train', 200, 1, size=128)
    write_coco_dataset(root / 'val', 24, 2, size=128)
    return root


def train_command(frames: Path, work_dir: Path, *extra: str, iterations: int = ITERATIONS) -> list[str]:
    """The command of the shipped recipe, made small."""
    options = {
        'model.backbone.arch.embed_dims': 64,
        'model.backbone.arch.num_layers': 2,
        'model.backbone.arch.num_heads': 2,
        'model.backbone.arch.feedforward_channels': 128,
        'model.backbone.arch.global_attn_indexes': '[0,1]',
        'train_dataloader.dataset.data_root': frames / 'train',
        'val_dataloader.dataset.data_root': frames / 'val',
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'train_cfg.max_iters': iterations,
        'train_cfg.val_interval': iterations // 2,
        'param_scheduler.0.end': iterations // 8,
        'param_scheduler.1.begin': iterations // 8,
        'param_scheduler.1.end': iterations,
        'default_hooks.logger.interval': 10,
        'default_hooks.checkpoint.interval': iterations // 4,
    }
    return [
        'mim', 'train', 'mmdet', NANO, '--gpus', '0', '--work-dir', str(work_dir), *extra,
        '--cfg-options', *(f'{key}={value}' for key, value in options.items()),
    ]  # fmt: skip


def test_it_learns_and_says_what_it_costs(frames: Path, tmp_path: Path):
    done = run(train_command(frames, tmp_path / 'work'))
    assert done.returncode == 0, done.stdout[-3000:]
    losses = logged(done.stdout, 'loss')
    assert len(losses) >= 20
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    scores = logged(done.stdout, 'coco/segm_mAP_50')
    assert len(scores) == 2
    assert scores[-1] > 0.5
    assert logged(done.stdout, 'images_per_s')[-1] > 0
    assert logged(done.stdout, 'peak_memory_gb')[-1] > 0.1
    assert 'eta: ' in done.stdout


def test_killed_and_resumed_it_goes_on(frames: Path, tmp_path: Path):
    work_dir = tmp_path / 'work'
    command = train_command(frames, work_dir, iterations=80)
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while not (work_dir / 'iter_40.pth').exists() and time.monotonic() < deadline:
        assert process.poll() is None, 'the run ended before it could be killed'
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (work_dir / 'iter_80.pth').exists()
    done = run(train_command(frames, work_dir, '--resume', iterations=80))
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'resumed epoch: 0, iter: 40' in done.stdout or 'resumed epoch: 0, iter: 20' in done.stdout
    assert (work_dir / 'iter_80.pth').exists()


def test_two_processes_on_cpu(frames: Path, tmp_path: Path):
    config, *options = train_command(frames, tmp_path / 'work', iterations=20)[3:]
    options = options[2:]
    done = run(['bash', 'tools/dist_train.sh', config, '2', *options])
    assert done.returncode == 0, done.stdout[-3000:]
    assert len(logged(done.stdout, 'loss')) >= 2
    assert (tmp_path / 'work' / 'iter_20.pth').exists()
