"""Group B3: disks that are full while a checkpoint is written."""

from __future__ import annotations

import functools
import resource
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived
from ultrasam.checkpoints import publish_checkpoint
from ultrasam.errors import UltraSamError


@fault('B3.checkpoint', 'no more room while a checkpoint is written', stock_losses=1)
def full_checkpoint(arena: Arena) -> Iterator[Trial]:
    path = arena.work / 'last.pth'
    for share in (0.0, 0.5, 0.99):
        yield Trial(f'{share:.0%}', functools.partial(_full_checkpoint, arena, path, share))


def _full_checkpoint(arena: Arena, path: Path, share: float) -> Verdict:
    state = {'weight': torch.arange(50_000.0)}
    torch.save({'state_dict': state}, path)
    whole = path.read_bytes()
    limit = (int(share * len(whole)), resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    error = ''
    try:
        if arena.ours:
            with publish_checkpoint(path, overwrite=True) as temporary:
                torch.save({'state_dict': state}, temporary)
        else:
            torch.save({'state_dict': state}, path)
    except (UltraSamError, OSError, RuntimeError) as raised:
        error = f'{type(raised).__name__}: {raised}'
    if path.read_bytes() != whole:
        return lossy(f'the earlier checkpoint is lost; {error}')
    left = [found.name for found in path.parent.iterdir() if '.tmp-' in found.name]
    if left:
        return lossy(f'left over: {left}')
    return survived(error) if error else quiet('nothing was said')
