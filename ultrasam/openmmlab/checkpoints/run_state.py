"""Random numbers and layout of a run, kept with its checkpoint so that it goes on as if it had not stopped."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.runner import Runner

from ultrasam.errors import CheckpointError

KEY = 'run_state'
"""Entry of a checkpoint."""


def random_state() -> dict[str, Any]:
    """States of the generators of this process: Python, numpy, torch, and every CUDA device."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        'python': {'version': version, 'words': torch.tensor(words), 'gauss': gauss},
        'numpy': {
            'kind': kind,
            'keys': torch.from_numpy(np.asarray(keys, np.int64)),
            'position': position,
            'has_gauss': has_gauss,
            'cached': cached,
        },
        'torch': torch.get_rng_state(),
        'cuda': [state.cpu() for state in torch.cuda.get_rng_state_all()]
        if torch.cuda.is_available()
        else [],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put the generators of this process where :func:`random_state` found them."""
    python, numpy_ = state['python'], state['numpy']
    random.setstate((python['version'], tuple(python['words'].tolist()), python['gauss']))
    keys = numpy_['keys'].numpy().astype(np.uint32)
    np.random.set_state((numpy_['kind'], keys, numpy_['position'], numpy_['has_gauss'], numpy_['cached']))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] and len(state['cuda']) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([part.cpu() for part in state['cuda']])


def layout_of(runner: Runner) -> dict[str, Any]:
    """What decides which images a step sees: processes, images of each, and the seed of the order."""
    batches: Any = getattr(runner.train_dataloader, 'batch_sampler', None)
    return {
        'processes': get_world_size(),
        'images_per_process': getattr(batches, 'batch_size', None),
        'seed': getattr(getattr(batches, 'sampler', None), 'seed', None),
    }


def collect_run_state(runner: Runner) -> dict[str, Any]:
    """Gather the state of a run; every process of it has to call this."""
    states = all_gather_object(random_state())
    return {'layout': layout_of(runner), 'random': states}


def check_layout(saved: Mapping[str, Any], runner: Runner, source: str) -> None:
    """See that a run goes on with the batches that it began with.

    Raises:
        CheckpointError: Other processes, batch size or seed.
    """
    ours = layout_of(runner)
    differing = [
        f'{name} {saved.get(name)} (now {value})' for name, value in ours.items() if saved.get(name) != value
    ]
    if differing:
        raise CheckpointError(
            f'{source}: saved by a run with {", ".join(differing)}. Its place in the data and its learning rate belong '
            'to these: resume with the same, or set default_hooks.checkpoint.same_layout=False to go on with the '
            'weights, the optimiser and the schedule, and a new order of the data.'
        )


def random_state_of_this_process(saved: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The entry of this process; None if the run had fewer."""
    states = saved.get('random', [])
    return states[get_rank()] if get_rank() < len(states) else None
