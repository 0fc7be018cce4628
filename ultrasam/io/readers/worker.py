"""The process in which files are decoded: what kills a decoder kills this process, and no other.

It answers one request after the other about one open file, and imports no deep-learning library.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ultrasam.errors import InputError
from ultrasam.io.readers.source import FrameSource
from ultrasam.io.readers.wire import Connection, frame_header
from ultrasam.structures.frames import Frame

# a process that waits longer than its parent does has lost it
_GRACE_S = 30


class FileServer:
    """Answers requests about the file that is open.

    Args:
        connection: where requests come from.
        opener: ``module:function`` that opens a file as :func:`~ultrasam.io.readers.open_frames` does.
    """

    def __init__(self, connection: Connection, opener: str) -> None:
        module, _, name = opener.partition(':')
        self._open_frames = getattr(importlib.import_module(module), name)
        self._connection = connection
        self._source: FrameSource | None = None
        self._iterators: dict[int, Iterator[Frame]] = {}

    def answer(self, request: dict[str, Any]) -> None:
        """Do what is asked, and send the outcome; a file that cannot be read is an outcome."""
        try:
            header, frame = self._outcome(request)
        except InputError as error:
            header, frame = {'error': str(error)}, None
        except Exception as error:
            header, frame = {'fault': type(error).__name__}, None
        self._connection.send(header, None if frame is None else frame.image)

    def _outcome(self, request: dict[str, Any]) -> tuple[dict[str, Any], Frame | None]:
        if request['do'] == 'open':
            return self._opened(request), None
        if request['do'] == 'close':
            self._close()
            return {}, None
        source = self._source
        if source is None:
            raise InputError('no file is open')
        if request['do'] == 'count':
            return {'count': len(source)}, None
        if request['do'] == 'frame':
            frame = source.frame(request['index'])
            return frame_header(frame), frame
        # an iterator is begun by its first request
        iterator = self._iterators.setdefault(request['iterator'], iter(source))
        following = next(iterator, None)
        return ({'end': True}, None) if following is None else (frame_header(following), following)

    def _opened(self, request: dict[str, Any]) -> dict[str, Any]:
        self._close()
        window = request['window']
        source = self._open_frames(
            Path(os.fsdecode(bytes.fromhex(request['path']))),
            axis=request['axis'],
            window=None if window is None else tuple(window),
        )
        self._source = source
        count = None if source.kind == 'video' else len(source)
        return {'kind': source.kind, 'size_hw': source.size_hw, 'count': count, 'stated': source.stated_count}

    def _close(self) -> None:
        self._iterators.clear()
        if self._source is not None:
            self._source.close()
            self._source = None


class _SendRecords(logging.Handler):
    """Hands what readers log to the process that asked."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        self._connection.send({'log': [record.name, record.levelno, record.getMessage()]})


def serve(opener: str, memory_bytes: int, timeout_s: float) -> None:
    """Answer on the socket that is standard input until the other side is gone.

    Args:
        opener: see :class:`FileServer`.
        memory_bytes: the most memory to use.
        timeout_s: how long a request may take.
    """
    connection = Connection(socket.socket(fileno=os.dup(0)))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(memory_bytes)
    logger = logging.getLogger('ultrasam')
    logger.addHandler(_SendRecords(connection))
    logger.propagate = False
    server = FileServer(connection, opener)
    with contextlib.suppress(EOFError, OSError):
        while True:
            request = connection.receive()
            # the signal ends the process wherever it is, also if nobody is left to end it
            signal.alarm(int(timeout_s) + _GRACE_S)
            server.answer(request)
            signal.alarm(0)


def _limit_memory(memory_bytes: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    # where memory runs out all the same, Linux is to end this process and not the one with the model
    with contextlib.suppress(OSError):
        Path('/proc/self/oom_score_adj').write_text('1000', encoding='ascii')
