"""Opens files so that a decoder that crashes, hangs or eats memory costs one file and not the run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from ultrasam.errors import InputError
from ultrasam.io.readers.kinds import kind_of
from ultrasam.io.readers.opening import open_frames
from ultrasam.io.readers.source import FrameSource
from ultrasam.io.readers.wire import Connection, frame_of
from ultrasam.structures.frames import Frame

OPENER = 'ultrasam.io.readers.opening:open_frames'
# the first slice of a zipped volume at the limit of size takes about two minutes on a slow disk
TIMEOUT_S = 300.0
# sys.path comes first, so that the process finds what this one finds
_PROGRAM = (
    'import sys; sys.path[:] = sys.argv[4:]; from ultrasam.io.readers.worker import serve; '
    'serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))'
)


class IsolatedReader:
    """Opens files as :func:`~ultrasam.io.readers.open_frames` does, decoding in a process of its own.

    DICOM files, volumes and videos are decoded by large native libraries; they are read in a worker
    process, which is kept for the next file and replaced when it dies. Plain images are read here.
    Files may be open side by side: each has its worker while it is open. Use it in a ``with`` statement,
    or call :meth:`close`.

    Args:
        axis: along which a volume is cut.
        window: lowest and highest gray value to show.
        timeout_s: how long opening a file, or reading a frame, may take.
        memory_bytes: the most memory of a worker; None for that of the machine.
        opener: ``module:function`` that a worker opens files with.

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
        opener: str = OPENER,
    ) -> None:
        self.axis = axis
        self.window = window
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes or os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        self._opener = opener
        self._idle: list[Worker] = []

    def open(self, path: Path) -> FrameSource:
        """The frames of a file.

        Raises:
            InputError: it cannot be read; or its decoder crashed, or was given up after the timeout.
        """
        kind = kind_of(path)
        if kind == 'image':
            return open_frames(path, axis=self.axis, window=self.window)
        worker = self._idle.pop() if self._idle else self._new_worker()
        try:
            request = {
                'do': 'open',
                'path': os.fsencode(path).hex(),
                'axis': self.axis,
                'window': self.window,
            }
            stated = worker.ask(request, path)
        except BaseException:
            self._release(worker)
            raise
        return _RemoteSource(path, worker, stated, self._release)

    def close(self) -> None:
        """End the workers that are idle; those of open files end when these are closed."""
        for worker in self._idle:
            worker.end()
        self._idle.clear()

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_worker(self) -> Worker:
        return Worker(self._opener, memory_bytes=self._memory_bytes, timeout_s=self._timeout_s)

    def _release(self, worker: Worker) -> None:
        if worker.is_ready:
            self._idle.append(worker)
        else:
            worker.end()


class Worker:
    """A process that reads one file at a time.

    Args:
        opener: ``module:function`` that opens files.
        memory_bytes: the most memory that it may use.
        timeout_s: how long it may take for an answer.
    """

    def __init__(self, opener: str, *, memory_bytes: int, timeout_s: float) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603  this interpreter, with code of ours
                [sys.executable, '-c', _PROGRAM, opener, str(memory_bytes), str(timeout_s), *sys.path],
                stdin=theirs.fileno(),
                # what libraries print is no result
                stdout=2,
            )
        self._connection = Connection(ours, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        # between a request and the end of its answer nothing else can be asked
        self.is_ready = True

    def ask(self, request: dict[str, Any], path: Path) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Returns:
            What was answered, with ``image`` where a frame was asked for.

        Raises:
            InputError: the file cannot be read, or the process died or hung while it tried.
        """
        if not self.is_ready:
            raise InputError(f'{path}: its reader was ended before. Open it again')
        self.is_ready = False
        try:
            self._connection.send(request)
            answer = self._connection.receive()
            while 'log' in answer:
                name, level, message = answer['log']
                logging.getLogger(name).log(level, '%s', message)
                answer = self._connection.receive()
            if 'shape' in answer:
                answer['image'] = self._connection.receive_pixels(tuple(answer['shape']))
        except TimeoutError:
            self.end()
            raise InputError(
                f'{path}: gave no answer for {self._timeout_s:g} s while it was read. '
                'Leave it out, convert it, or allow more time if it is large'
            ) from None
        except (EOFError, OSError, ValueError, MemoryError):
            raise InputError(f'{path}: {self._how_it_died()}') from None
        self.is_ready = True
        if answer.get('fault') == 'MemoryError':
            raise InputError(f'{path}: not enough memory to read it. Crop or shrink it')
        if 'fault' in answer:
            raise InputError(f'{path}: cannot be read ({answer["fault"]}). Copy or export it again')
        if 'error' in answer:
            raise InputError(answer['error'])
        return answer

    def end(self) -> None:
        """End the process; a second call does nothing."""
        self.is_ready = False
        self._connection.close()
        # killed, since one that hangs in a library listens to nothing
        self.process.kill()
        self.process.wait()

    def _how_it_died(self) -> str:
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = 0
        self.end()
        how = f'exit code {code}'
        if code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        hint = ' or the machine ran out of memory' if code == -signal.SIGKILL else ''
        return (
            f'the process that decodes it ended ({how}): the file is damaged, its decoder has a fault{hint}. '
            'Leave it out, or convert it to another format'
        )


class _RemoteSource(FrameSource):
    """A file that is open in a worker."""

    def __init__(self, path: Path, worker: Worker, stated: dict[str, Any], release: Any) -> None:
        super().__init__(path)
        self.kind = stated['kind']
        self._size_hw = (int(stated['size_hw'][0]), int(stated['size_hw'][1]))
        self._count: int | None = stated['count']
        self._stated: int | None = stated['stated']
        self._worker: Worker | None = worker
        self._release = release
        self._iterators = itertools.count()

    def __len__(self) -> int:
        if self._count is None:
            self._count = int(self._ask({'do': 'count'})['count'])
        return self._count

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels of the first frame."""
        return self._size_hw

    @property
    def stated_count(self) -> int | None:
        """How many frames the file claims to have."""
        return self._stated

    def __iter__(self) -> Iterator[Frame]:
        number = next(self._iterators)
        while not (answer := self._ask({'do': 'next', 'iterator': number})).get('end'):
            yield frame_of(answer, answer['image'], self.path)

    def _read(self, index: int) -> Frame:
        answer = self._ask({'do': 'frame', 'index': index})
        return frame_of(answer, answer['image'], self.path)

    def close(self) -> None:
        """Let go of the worker."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        if worker.is_ready:
            # a file that cannot be closed was read all the same
            with contextlib.suppress(InputError):
                worker.ask({'do': 'close'}, self.path)
        self._release(worker)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._worker is None:
            raise InputError(f'{self.path}: is closed. Open it again')
        return self._worker.ask(request, self.path)
