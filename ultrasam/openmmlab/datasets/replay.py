"""Samples that depend on the seed and on their place in training alone, not on the process that loads them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler, get_worker_info

from ultrasam.errors import ConfigError, SampleError

_MOST_WORKERS = 256
_NOTHING = -1


class Draw(int):
    """Index of a sample, and the seed of everything that its pipeline draws.

    Args:
        index: place in the data set.
        seed: non-negative integers.
    """

    seed: tuple[int, ...]

    def __new__(cls, index: int, seed: tuple[int, ...]) -> Draw:
        """Attach the seed to the index."""
        draw = super().__new__(cls, index)
        draw.seed = seed
        return draw

    def __getnewargs__(self) -> tuple[int, tuple[int, ...]]:  # type: ignore[override]
        """What a data worker rebuilds it from."""
        return int(self), self.seed


@DATA_SAMPLERS.register_module()
class ReplayableSampler(Sampler):
    """Endless passes over a data set; the n-th sample of a run is the same whatever loads it.

    MMEngine's ``InfiniteSampler`` repeats the order of the indices only: what a pipeline then draws depends on which
    worker loads a sample, and after how many others.  Here each index carries its own seed, so that two workers or
    eight, a run that was killed and one that was not, give the same batches.

    Args:
        dataset: what to sample from.
        shuffle: a new order in every pass.
        seed: of the order and of the samples; None: one that all processes share.
    """

    def __init__(self, dataset: Any, *, shuffle: bool = True, seed: int | None = None) -> None:
        if len(dataset) == 0:
            raise ConfigError('the data set to train on is empty')
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()

    def __iter__(self) -> Iterator[Draw]:
        """Every ``world_size``-th index of the common order, from that of this process on."""
        return islice(self._common_order(), self.rank, None, self.world_size)

    def _common_order(self) -> Iterator[Draw]:
        size, epoch = len(self.dataset), 0
        while True:
            order = np.arange(size)
            if self.shuffle:
                order = np.random.default_rng((self.seed, epoch)).permutation(size)
            for position, index in enumerate(order.tolist(), start=epoch * size):
                yield Draw(index, (self.seed, position))
            epoch += 1

    def __len__(self) -> int:
        """Samples of one pass."""
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: the passes count themselves."""


class ResumedBatches:
    """Mixed into a batch sampler: it can begin at any batch without loading those before."""

    first_batch = 0

    def __iter__(self) -> Iterator[list[int]]:
        """Batches from ``first_batch`` on."""
        return islice(super().__iter__(), self.first_batch, None)  # type: ignore[misc]


class _BatchesByShape(AspectRatioBatchSampler):
    """mmdet's sampler, which asks the data set for the size of an image where that can tell it without its record."""

    def __iter__(self) -> Iterator[list[int]]:
        size_of = getattr(self.sampler.dataset, 'size_hw', self._size_in_record)
        buckets: tuple[list[int], list[int]] = ([], [])
        for index in self.sampler:
            height, width = size_of(index)
            bucket = buckets[width >= height]
            bucket.append(index)
            if len(bucket) == self.batch_size:
                yield bucket[:]
                bucket.clear()
        rest = buckets[0] + buckets[1]
        while len(rest) > self.batch_size:
            yield rest[: self.batch_size]
            rest = rest[self.batch_size :]
        if rest and not self.drop_last:
            yield rest

    def _size_in_record(self, index: int) -> tuple[int, int]:
        info = self.sampler.dataset.get_data_info(index)
        return info['height'], info['width']


@DATA_SAMPLERS.register_module()
class ReplayableBatchSampler(ResumedBatches, _BatchesByShape):
    """Batches of wide or of tall images, as mmdet's, which can begin at any batch without loading those before.

    A data set with a method ``size_hw(index)`` is not asked for records, so that a resumed run skips batches at once.

    Args:
        *args: as for ``AspectRatioBatchSampler``.
        **kwargs: as for ``AspectRatioBatchSampler``.
    """


@contextmanager
def seeded(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed Python, numpy and torch (on the CPU), and give them back their states afterwards."""
    python, numpy_, torch_ = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(seed).generate_state(6)
    random.seed(int(words[0]))
    np.random.seed(words[1:5])
    torch.manual_seed(int(words[5]))
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_)
        torch.set_rng_state(torch_)


class ReplayedSamples:
    """Mixed into a data set: loads a :class:`Draw` under its seed, and names the sample when that fails.

    A sample is never replaced by another one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # shared with the data workers, which are copies of this object
        self._reading = torch.full((_MOST_WORKERS,), _NOTHING).share_memory_()
        super().__init__(*args, **kwargs)

    def in_progress(self) -> list[str]:
        """Image files that data workers have begun to load and not finished."""
        return [self._name_of(int(index)) for index in self._reading if index != _NOTHING]

    def __getitem__(self, index: int) -> Any:
        """The sample of an index or a :class:`Draw`, through the pipeline.

        Raises:
            SampleError: it cannot be loaded; the message names it.
        """
        worker = get_worker_info()
        slot = worker.id if worker is not None and worker.id < _MOST_WORKERS else None
        if slot is not None:
            self._reading[slot] = int(index)
        try:
            if isinstance(index, Draw):
                with seeded(index.seed):
                    sample = self.prepare_data(index)  # type: ignore[attr-defined]
            else:
                sample = super().__getitem__(index)  # type: ignore[misc]
        except Exception as error:
            message = f'{self._name_of(index)}: cannot be loaded: {type(error).__name__}: {error}'
            raise SampleError(' '.join(message.split())) from error
        finally:
            if slot is not None:
                self._reading[slot] = _NOTHING
        if sample is None:
            raise SampleError(
                f'{self._name_of(index)}: a step of the pipeline dropped it; leave that step out'
            )
        return sample

    def _name_of(self, index: int) -> str:
        info = self.get_data_info(index)  # type: ignore[attr-defined]
        return str(info.get('img_path', f'sample {int(index)}'))
