"""Work on many items in order, in processes of its own where more than one is asked for."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

import cv2

from ultrasam.corpus.layout import Track
from ultrasam.errors import ConfigError, InputError

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')


class Workers:
    """Applies functions to items.

    Args:
        pool: of processes; None for this one.
    """

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool

    def run(
        self,
        function: Callable[[_Item], _Result],
        items: Sequence[_Item],
        *,
        title: str,
        track: Track,
        together: int = 1,
    ) -> Iterator[_Result]:
        """Apply a function to items.

        Args:
            function: of a module, so that another process finds it.
            items: what it is applied to.
            title: what the progress is called.
            track: shows progress.
            together: how many items a process is given at once.

        Yields:
            The results, in the order of the items.

        Raises:
            InputError: a process was ended.
        """
        results: Iterator[_Result] = map(function, items)
        if self._pool is not None:
            results = self._pool.map(function, items, chunksize=together)
        try:
            for _ in track(items, title):
                yield next(results)
        except BrokenProcessPool as error:
            raise InputError(
                f'{title}: a process was ended, perhaps for want of memory: try fewer jobs, and look for a damaged '
                'image with datasets/tools/verify.py --pixels'
            ) from error


@contextmanager
def workers_of(jobs: int) -> Iterator[Workers]:
    """Give workers that end with the block.

    Args:
        jobs: number of processes.

    Raises:
        ConfigError: fewer than one.
    """
    if jobs < 1:
        raise ConfigError(f'jobs={jobs}: at least one process is needed')
    if jobs == 1:
        yield Workers(None)
        return
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context('spawn'),
        initializer=_start,
    )
    try:
        yield Workers(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    # an interrupt is for the process that waits, which then ends these
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # there are as many processes as are to work
    cv2.setNumThreads(1)
