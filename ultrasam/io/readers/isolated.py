"""Opens files so that a decoder that crashes, hangs or eats memory costs one file and not the run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import logging.handlers
import os
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as OutOfTimeError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from ultrasam.errors import InputError
from ultrasam.io.readers.opening import Kind, kind_of, open_frames
from ultrasam.io.readers.source import FrameSource
from ultrasam.processes import how_it_ended, process_pool
from ultrasam.structures.frames import Frame

_Answer = TypeVar('_Answer')
# the first slice of a zipped volume at the limit of size takes about two minutes on a slow disk
TIMEOUT_S = 300.0


class WorkerLostError(InputError):
    """The process that had a file open is gone, and the file with it."""


@dataclass(frozen=True)
class _Request:
    """A file, and how it is opened: all that another process needs."""

    opener: Callable[..., FrameSource]
    path: Path
    axis: int | None
    window: tuple[float, float] | None

    def open(self) -> FrameSource:
        return self.opener(self.path, axis=self.axis, window=self.window)


class IsolatedReader:
    """Opens files as :func:`~ultrasam.io.readers.open_frames` does, decoding in a process of its own.

    DICOM files, volumes and videos are decoded by large native libraries; they are read in a worker process, which
    is kept for the next file and replaced when it dies. Plain images are read here. Use it in a ``with`` statement,
    or call :meth:`close`; in a script, below ``if __name__ == '__main__':``, as every pool of processes.

    Args:
        axis: Array axis along which a volume is cut.
        window: Lowest and highest gray value to show.
        timeout_s: Seconds that opening a file, or reading a frame, may take.
        memory_bytes: The most memory of the worker; None for that of the machine.
        opener: Function of a module that the worker opens files with.

    Example:
        >>> with IsolatedReader() as reader, reader.open(Path('cine.dcm')) as frames:
        ...     print(len(frames))
    """

    def __init__(
        self,
        *,
        axis: int | None = None,
        window: tuple[float, float] | None = None,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int | None = None,
        opener: Callable[..., FrameSource] = open_frames,
    ) -> None:
        self._options = axis, window
        self._opener = opener
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes or os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        self._stack = contextlib.ExitStack()
        self._pool: ProcessPool | None = None

    def open(self, path: Path) -> FrameSource:
        """Return the frames of a file.

        Raises:
            InputError: It cannot be read; or its decoder crashed, or was given up after the timeout.
        """
        request = _Request(self._opener, path, *self._options)
        return request.open() if kind_of(path) == 'image' else _RemoteSource(request, self)

    def ask(self, function: Callable[..., _Answer], request: _Request, *args: Any) -> _Answer:
        """Call a function in the worker.

        Raises:
            InputError: The file cannot be read, or the process died or hung while it tried.
        """
        if self._pool is None or not self._pool.active:
            self.close()
            pool = process_pool(1, memory_bytes=self._memory_bytes, preload=[__name__])
            self._pool = self._stack.enter_context(pool)
        path = request.path
        try:
            answer, records = self._pool.schedule(
                _logged, args=[function, request, *args], timeout=self._timeout_s
            ).result()
        except InputError:
            raise
        except OutOfTimeError:
            raise WorkerLostError(
                f'{path}: gave no answer for {self._timeout_s:g} s while it was read. '
                'Leave it out, convert it, or allow more time if it is large'
            ) from None
        except (ProcessExpired, BrokenProcessPool) as error:
            how = how_it_ended(error)
            hint = ' or the machine ran out of memory' if how == 'SIGKILL' else ''
            raise WorkerLostError(
                f'{path}: the process that decodes it ended ({how}): the file is damaged, its decoder has a '
                f'fault{hint}. Leave it out, or convert it to another format'
            ) from None
        except MemoryError:
            raise InputError(f'{path}: not enough memory to read it. Crop or shrink it') from None
        except Exception as error:
            fault = type(error).__name__
            raise InputError(f'{path}: cannot be read ({fault}). Copy or export it again') from error
        for record in records:
            logging.getLogger(record.name).handle(record)
        return answer

    def close(self) -> None:
        """End the worker; a second call does nothing."""
        self._stack.close()
        self._pool = None

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _RemoteSource(FrameSource):
    """A file that is open in the worker."""

    def __init__(self, request: _Request, reader: IsolatedReader) -> None:
        super().__init__(request.path)
        self._request = request
        self._reader: IsolatedReader | None = reader
        self.kind, self._size_hw, self._stated, self._count = self._ask(_state)

    def __len__(self) -> int:
        if self._count is None:
            self._count = self._ask(_length)
        return self._count

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels of the first frame."""
        return self._size_hw

    @property
    def stated_count(self) -> int | None:
        """Number of frames that the file claims to have."""
        return self._stated

    def __iter__(self) -> Iterator[Frame]:
        for index in itertools.count():
            frame = self._ask(_frame, index)
            if frame is None:
                return
            yield frame

    def _read(self, index: int) -> Frame:
        frame = self._ask(_frame, index)
        if frame is None:
            raise InputError(f'{self.path}: no frame {index}')
        return frame

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        reader, self._reader = self._reader, None
        if reader is not None:
            # a file that cannot be closed was read all the same
            with contextlib.suppress(InputError):
                reader.ask(_close, self._request)

    def _ask(self, function: Callable[..., _Answer], *args: Any) -> _Answer:
        if self._reader is None:
            raise InputError(f'{self.path}: is closed, or its reader was ended. Open it again')
        try:
            return self._reader.ask(function, self._request, *args)
        except WorkerLostError:
            self._reader = None
            raise


class _OpenFile:
    """The file that the worker has open, read on from where it stands."""

    def __init__(self, request: _Request) -> None:
        self.request = request
        self.source = request.open()
        self._frames, self._next = iter(self.source), 0

    def frame(self, index: int) -> Frame | None:
        if index == 0 and self._next:
            self._frames, self._next = iter(self.source), 0
        if index != self._next:
            return self.source.frame(index) if index < len(self.source) else None
        self._next += 1
        return next(self._frames, None)


# in the worker: what it has open
_current: _OpenFile | None = None


def _logged(function: Callable[..., _Answer], *args: Any) -> tuple[_Answer, list[logging.LogRecord]]:
    """Call a function and return its answer with what was logged meanwhile."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger, handler = logging.getLogger('ultrasam'), logging.handlers.QueueHandler(records)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        answer = function(*args)
    finally:
        logger.removeHandler(handler)
    return answer, [records.get() for _ in range(records.qsize())]


def _opened(request: _Request) -> _OpenFile:
    global _current
    if _current is not None and _current.request != request:
        _close(_current.request)
    if _current is None:
        _current = _OpenFile(request)
    return _current


def _state(request: _Request) -> tuple[Kind, tuple[int, int], int | None, int | None]:
    """Return kind, size, stated and true number of frames; the last is None where it means decoding all."""
    _close(request)
    source = _opened(request).source
    count = None if source.kind == 'video' else len(source)
    return source.kind, source.size_hw, source.stated_count, count


def _length(request: _Request) -> int:
    return len(_opened(request).source)


def _frame(request: _Request, index: int) -> Frame | None:
    return _opened(request).frame(index)


def _close(request: _Request) -> None:
    global _current
    if _current is not None and _current.request == request:
        closing, _current = _current, None
        closing.source.close()
