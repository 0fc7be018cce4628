"""What the processes of a run agree on before a step, in one collective."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_gather, get_world_size


@dataclass(frozen=True)
class StepAgreement:
    """The same values in every process.

    Args:
        num_instances: Mean over processes of the instances of their batches, by which losses are divided.
        seed: Seed of the draws that decide what a step runs: processes that ran different passes would wait for each
            other's collectives for ever.
        stop_signal: Number of a signal that asked any process to end, or 0.
    """

    num_instances: float
    seed: int
    stop_signal: int = 0


_CURRENT: ContextVar[StepAgreement | None] = ContextVar('step_agreement', default=None)


def agree(
    num_instances: int, device: torch.device, stop_signal: int = 0, seed: int | None = None
) -> StepAgreement:
    """Agree on a step; every process has to call this once a step.

    Args:
        num_instances: Instances in the batch of this process.
        device: Device of the model, on which collectives run.
        stop_signal: Number of a signal that this process got, or 0.
        seed: Seed of the step; None draws one from torch's global generator. That of the first process counts.
    """
    seed = int(torch.randint(2**31, ())) if seed is None else seed
    own = torch.tensor([num_instances, seed, stop_signal], dtype=torch.float64)
    every = own[None] if get_world_size() == 1 else torch.stack(all_gather(own.to(device))).cpu()
    return StepAgreement(
        num_instances=float(every[:, 0].mean()),
        seed=int(every[0, 1]),
        stop_signal=int(every[:, 2].max()),
    )


@contextmanager
def agreed(step: StepAgreement) -> Iterator[None]:
    """Let :func:`step_agreement` return this agreement within the block."""
    token = _CURRENT.set(step)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def step_agreement(num_instances: int, device: torch.device) -> StepAgreement:
    """Return the agreement of the step under way, or agree now if the loop did not."""
    return _CURRENT.get() or agree(num_instances, device)


def instances_of(data_batch: Any) -> int:
    """Count the annotated instances of a batch; 0 for data of another kind."""
    samples = data_batch.get('data_samples', ()) if isinstance(data_batch, dict) else ()
    return sum(len(getattr(sample, 'gt_instances', ())) for sample in samples or ())
