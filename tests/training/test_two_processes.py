"""A step does not depend on how its batch is divided among processes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from torch import distributed

from tests.forked import start_method
from tests.golden import trained
from tests.models.test_properties import batch_of, item, random_prompts, tiny_model
from ultrasam.openmmlab import agreement

# instances of the four images: two on one process, eight on the other, and an image without any
COUNTS = (2, 0, 5, 3)


def images(first: int, last: int) -> dict:
    return batch_of(*(item(random_prompts(COUNTS[i], i), i) for i in range(first, last)))


def step(model, batch: dict) -> tuple[dict, dict]:
    """Losses and gradients of one step."""
    module = getattr(model, 'module', model)
    data = module.data_preprocessor(batch, True)
    losses = model(**data, mode='loss')
    total, _ = module.parse_losses(losses)
    total.backward()
    named = {name: p.grad for name, p in trained(module).items()}
    return {name: value.detach() for name, value in losses.items()}, named


def worker(rank: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR='127.0.0.1')
    torch.set_num_threads(1)
    distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    model = MMDistributedDataParallel(tiny_model().train(), device_ids=None, broadcast_buffers=False)
    losses, gradients = step(model, images(2 * rank, 2 * rank + 2))
    for value in losses.values():
        distributed.all_reduce(value)
        value /= 2
    if rank == 0:
        torch.save((losses, gradients), f'{folder}/result.pth')
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason='this torch has no torch.distributed')
def test_two_processes_take_the_step_of_one(tmp_path: Path):
    mp.start_processes(worker, (str(tmp_path),), nprocs=2, start_method=start_method())
    losses, gradients = torch.load(tmp_path / 'result.pth', weights_only=True)
    expected_losses, expected_gradients = step(tiny_model().train(), images(0, 4))
    assert set(losses) == set(expected_losses)
    for name, value in expected_losses.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-5), name
    for name, value in expected_gradients.items():
        assert (gradients[name] - value).norm() <= 5e-3 * value.norm() + 1e-6, name


def clicking_worker(rank: int, folder: str, steps: int) -> None:
    os.environ.update(MASTER_ADDR='127.0.0.1')
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    procedure = dict(type='CorrectiveClicks', rounds=(1, 8))
    model = MMDistributedDataParallel(
        tiny_model(training_procedure=procedure).train(), device_ids=None, broadcast_buffers=False
    )
    # different in each process, as the draws of clicks make them after a step in any case
    torch.manual_seed(rank)
    passes, collectives = [], []
    plain = model.module.model
    decode, gather = plain.decode, agreement.all_gather
    plain.decode = lambda *args: passes.append(1) or decode(*args)
    agreement.all_gather = lambda *args: collectives.append(1) or gather(*args)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    counts = []
    for _ in range(steps):
        passes.clear()
        # two instances in one process, five in the other
        loss, _ = step(model, images(2 * rank, 2 * rank + 2))
        assert all(torch.isfinite(value) for value in loss.values())
        optimizer.step()
        optimizer.zero_grad()
        counts.append(len(passes) - 1)
    torch.save((counts, len(collectives)), f'{folder}/counts_{rank}.pth')
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason='this torch has no torch.distributed')
@pytest.mark.parametrize('steps', [4, pytest.param(50, marks=pytest.mark.slow)])
def test_processes_draw_the_same_number_of_rounds(steps: int, tmp_path: Path):
    mp.spawn(clicking_worker, (str(tmp_path), steps), nprocs=2)
    (counts, collectives), other = (torch.load(tmp_path / f'counts_{rank}.pth') for rank in (0, 1))
    assert (counts, collectives) == other
    assert len(set(counts)) > 1
    assert set(counts) <= set(range(1, 9))
    assert collectives == steps, 'one a step besides those of the gradients'
