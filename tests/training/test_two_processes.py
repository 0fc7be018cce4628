"""A step does not depend on how its batch is divided among processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from torch import distributed

from tests.forked import start_method
from tests.models.test_properties import batch_of, item, random_prompts, tiny_model

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
    named = {name: p.grad for name, p in module.named_parameters()}
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
