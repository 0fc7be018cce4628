"""Processes of their own that start at once: forks of this one, in which everything is imported already.

To import torch and OpenMMLab costs a fresh process about 25 s of CPU on an AVX2 machine, a fork none. It is as much on
its own: what it changes in its memory, its environment or its folder is lost when it ends.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path


def start_method() -> str:
    """Return how to start a process: 'fork', or 'spawn' where CUDA is in use, which does not survive a fork."""
    torch = sys.modules.get('torch')
    in_use = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
    return 'spawn' if in_use or not hasattr(os, 'fork') else 'fork'


def run_forked(
    call: Callable[[], object],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    without: Iterable[str] = (),
    timeout_s: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a function in a process of its own, to its end, as :func:`subprocess.run` runs a command.

    Args:
        call: What to run, without arguments; it can be pickled (a function of a module, or ``partial`` of one).
        cwd: Folder to run it in, this one by default.
        environment: All variables of its environment, those of this process by default.
        without: Packages and modules that it imports anew, because they read the environment as they are imported.
        timeout_s: Seconds after which it is killed.

    Returns:
        Its exit status, stdout and stderr. A return is status 0, an exception 1, as in a script.

    Raises:
        subprocess.TimeoutExpired: It had not ended in time.
    """
    with tempfile.TemporaryDirectory(prefix='forked.') as folder:
        said = [Path(folder) / name for name in ('stdout', 'stderr')]
        for path in said:
            path.touch()
        child = functools.partial(_child, call, said, cwd, environment, tuple(without))
        process = multiprocessing.get_context(start_method()).Process(target=child)
        process.start()
        process.join(timeout_s)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(str(call), timeout_s)
        stdout, stderr = (path.read_text(encoding='utf-8', errors='replace') for path in said)
    return subprocess.CompletedProcess([str(call)], process.exitcode, stdout, stderr)


def _child(
    call: Callable[[], object],
    said: Iterable[Path],
    cwd: Path | None,
    environment: Mapping[str, str] | None,
    without: tuple[str, ...],
) -> None:
    for number, (name, path) in enumerate(zip(('stdout', 'stderr'), said, strict=True), 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
        setattr(sys, name, open(number, 'w', encoding='utf-8', buffering=1, closefd=False))  # noqa: SIM115
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    if cwd is not None:
        os.chdir(cwd)
    packages = tuple(f'{name}.' for name in without)
    for name in list(sys.modules):
        # a compiled part cannot be initialised twice in a process
        if f'{name}.'.startswith(packages) and '._C' not in name:
            del sys.modules[name]
    _one_thread()
    call()


def _one_thread() -> None:
    """Compute on this thread alone: threads that computed in the parent are not there in a fork."""
    if 'torch' in sys.modules:
        sys.modules['torch'].set_num_threads(1)
    if 'cv2' in sys.modules:
        sys.modules['cv2'].setNumThreads(0)
