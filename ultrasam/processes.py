"""Worker processes: a crash, a hang or a want of memory costs one task and not the run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from ultrasam.errors import ConfigError, InputError

_Item = TypeVar('_Item')
_Result = TypeVar('_Result')
# tasks a worker that are waiting beside the one it does, so that none is idle
_WAITING = 4
_CHECK_S = 1.0


def check_jobs(jobs: int) -> None:
    """Check a number of processes; raises ConfigError for fewer than one."""
    if jobs < 1:
        raise ConfigError(f'jobs={jobs}: at least one process is needed')


@contextlib.contextmanager
def process_pool(
    jobs: int,
    *,
    initializer: Callable[..., object] | None = None,
    initargs: Sequence[Any] = (),
    memory_bytes: int | None = None,
    preload: Sequence[str] = (),
) -> Iterator[ProcessPool]:
    """Give a pool of worker processes, which end with the block, and with this process however it ends.

    A worker that dies at work is replaced, and its task alone fails, with ``pebble.ProcessExpired``. One that is
    killed while it waits for work takes the pool along: all tasks fail with ``BrokenProcessPool``.

    Args:
        jobs: Number of processes.
        initializer: Function of a module that prepares each process.
        initargs: Its arguments.
        memory_bytes: The most memory of a process; None for no limit but those of the system.
        preload: Modules that are loaded once, before the processes are forked.

    Raises:
        ConfigError: Fewer than one process.
    """
    check_jobs(jobs)
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([*preload])
    pool = ProcessPool(
        jobs,
        context=context,
        initializer=_start,
        initargs=(memory_bytes, initializer, tuple(initargs)),
    )
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.close()
        pool.join()


def as_completed(
    pool: ProcessPool, function: Callable[..., _Result], items: Iterable[_Item], *, jobs: int
) -> Iterator[tuple[_Item, Future[_Result]]]:
    """Apply a function of a module to items, a few ahead of the workers; give each with its outcome as it comes."""
    flying: dict[Future[_Result], _Item] = {}
    waiting = iter(items)
    while True:
        for item in waiting:
            flying[pool.schedule(function, args=[item])] = item
            if len(flying) > jobs * _WAITING:
                break
        if not flying:
            return
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            yield flying.pop(future), future


def in_order(
    function: Callable[[_Item], _Result], items: Sequence[_Item], *, jobs: int, together: int = 1
) -> Iterator[_Result]:
    """Apply a function of a module to items, in this process if ``jobs`` is 1; give the results in their order.

    Args:
        function: Function of one item.
        items: The items.
        jobs: Number of processes.
        together: Items that a process is given at once.

    Raises:
        ConfigError: Fewer than one process.
        InputError: A process was ended.
    """
    if jobs == 1 or not items:
        yield from map(function, items)
        return
    with process_pool(jobs, initializer=_use_one_thread) as pool:
        try:
            yield from pool.map(function, items, chunksize=together).result()
        except (ProcessExpired, BrokenProcessPool) as error:
            raise InputError(
                f'a process was ended ({how_it_ended(error)}), perhaps for want of memory: try fewer jobs, and look '
                'for a damaged image with `ultrasam data verify --pixels`'
            ) from error


def _use_one_thread() -> None:
    # there are as many processes as are to work
    import cv2

    cv2.setNumThreads(1)


def how_it_ended(error: BaseException) -> str:
    """Return how a worker died, for a message: ``SIGSEGV``, or ``exit code 3``, or that something ended it."""
    code = getattr(error, 'exitcode', None)
    if code is None:
        return 'something ended it'
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f'exit code {code}'


def _start(
    memory_bytes: int | None, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> None:
    # an interrupt is for the process that waits, which then ends these
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # what libraries print is no result
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if memory_bytes is not None:
        _limit_memory(memory_bytes)
    if initializer is not None:
        initializer(*initargs)


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, also in the middle of a task that nobody waits for."""
    while os.getppid() == parent:
        time.sleep(_CHECK_S)
    os._exit(1)


def _limit_memory(memory_bytes: int) -> None:
    """Lower the limit of memory, never raise one that the system or a batch queue has set."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    # where memory runs out all the same, Linux is to end this process and not the one with the model
    with contextlib.suppress(OSError):
        Path('/proc/self/oom_score_adj').write_text('1000', encoding='ascii')
