"""Signals that ask a run to end: remembered, and acted on where nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_start_method
from multiprocessing.context import ForkContext, ForkProcess
from types import FrameType, TracebackType
from typing import Any

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What a scheduler, a user at the keyboard, and Slurm before a time limit (``--signal=USR1@120``) send."""

_IGNORED = tuple(number for number in ASKING if number != signal.SIGTERM)


class StopRequested(BaseException):
    """Raised where a signal interrupts what has nothing to lose."""


class StopSignals:
    """Within it, the first signal is noted; a second one ends the process as it would have without.

    Example:
        with StopSignals() as stop:
            while stop.received is None:
                ...
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._interrupt = False
        self._previous: dict[int, signal.Handlers | object] = {}

    def __enter__(self) -> StopSignals:
        """Listen, unless this is not the main thread, which alone may."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in ASKING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            self.__exit__(None, None, None)
            signal.raise_signal(number)
            return
        self.received = number
        if self._interrupt:
            raise StopRequested

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within it, a signal raises :class:`StopRequested` at once; use it for validation, not for a step."""
        if self.received is not None:
            raise StopRequested
        self._interrupt = True
        try:
            yield
        finally:
            self._interrupt = False

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal, as a shell reports it."""
        return 128 + (self.received or 0)


def shield_workers(dataloader: Any) -> None:
    """Let the data workers of a loader outlive signals that are sent to every process of a run.

    Ctrl-C and schedulers do that.  A worker that died of it would take the main process with it in the middle of a
    step; so the workers leave the end of the run to the main process, and end when that says so or is gone.

    Args:
        dataloader: whose workers are not started yet.
    """
    if not dataloader.num_workers or _is_shielded(dataloader.worker_init_fn):
        return
    dataloader.worker_init_fn = partial(_start_worker, dataloader.worker_init_fn)
    given = dataloader.multiprocessing_context
    if type(given) is ForkContext or (given is None and get_start_method() == 'fork'):
        dataloader.multiprocessing_context = _SignalsBlockedContext()


def _is_shielded(init: Any) -> bool:
    return isinstance(init, partial) and init.func is _start_worker


class _SignalsBlockedProcess(ForkProcess):
    """A process in which no thread takes these signals, also those that libraries start as soon as it is forked."""

    def start(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _SignalsBlockedContext(ForkContext):
    Process = _SignalsBlockedProcess


def _start_worker(init: Callable[[int], Any] | None, worker: int) -> None:
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _IGNORED)
    # torch and multiprocessing end workers that hang by SIGTERM: only the sender tells one from the other
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if init is not None:
        init(worker)


def _end_with(parent: int) -> None:
    """In a thread of a data worker: end when the parent asks for it."""
    while True:
        sender = signal.sigwaitinfo([signal.SIGTERM]).si_pid
        if sender == parent or os.getppid() != parent:
            os._exit(0)
