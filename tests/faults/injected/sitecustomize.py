"""Kills a process, or makes a system call fail, at a chosen moment of its work; Python imports this by its name.

``FAULTS_INJECT`` is JSON: ``program`` (end of the script's path: other processes, such as its workers, are left
alone), ``root`` (only what happens below it counts), ``log`` (file to note the moments in), and ``at`` (the moment,
from 0) with ``do``: ``kill``, or the number of an error. A moment is the opening of a file for writing, its
fsync, and every change of names.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

_CHANGES = (
    'os.rename',
    'os.link',
    'os.mkdir',
    'os.remove',
    'os.rmdir',
    'os.truncate',
    'os.chmod',
    'shutil.rmtree',
)


class _Injector:
    def __init__(self, order: dict[str, Any]) -> None:
        self._root: str = order['root']
        self._log: str = order.get('log', '')
        self._at: int = order.get('at', -1)
        self._do: str | int = order.get('do', 'kill')
        self._count = 0
        self._busy = False

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy or not (event == 'open' or event in _CHANGES or event == 'ctypes.dlsym'):
            return
        if event == 'ctypes.dlsym':
            if arguments[1] == 'renameat2':
                self.moment('swap', '')
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike) or not self._below(path):
            return
        if event == 'open' and not self._writes(arguments[1], arguments[2]):
            return
        self.moment(event, os.fsdecode(path))

    def moment(self, event: str, path: str) -> None:
        """Count a moment; at the chosen one, strike."""
        number, self._count = self._count, self._count + 1
        if self._log:
            self._busy = True
            with open(self._log, 'a', encoding='utf-8') as file:
                file.write(json.dumps([event, path]) + '\n')
            self._busy = False
        if number != self._at:
            return
        if self._do == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self._do, os.strerror(int(self._do)), path or None)

    def _below(self, path: Any) -> bool:
        return os.path.abspath(os.fsdecode(path)).startswith(self._root)

    @staticmethod
    def _writes(mode: str | None, flags: int) -> bool:
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(c in (mode or '') for c in 'wax+')


def _install(order: dict[str, Any]) -> None:
    injector = _Injector(order)
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        path = os.readlink(f'/proc/self/fd/{descriptor}')
        if path.startswith(order['root']):
            injector.moment('os.fsync', path)
        fsync(descriptor)

    os.fsync = counted
    sys.addaudithook(injector.audit)


_order = json.loads(os.environ.get('FAULTS_INJECT') or '{}')
if _order and any(argument.endswith(_order['program']) for argument in sys.orig_argv[1:]):
    _install(_order)
