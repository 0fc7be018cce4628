"""Files and folders that appear whole or not at all, and a lock on a folder.

A result is written beside its place under a name of its own, brought to the disk (fsync), and only then moved into
place. A process that is killed at any moment leaves the old result or the new one, and at most a temporary that the
next writer in the same folder removes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ultrasam.errors import OutputError

LOCK_NAME = '.ultrasam.lock'
Verify = Callable[[Path], object]

# Host and process of the writer: only a process on the same host can tell that another is dead.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_PATTERN = re.compile(r'\.(tmp|old)-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}-(.+)', re.DOTALL)
_LONGEST_NAME = 255
# Above this a single sync of the whole machine is faster than one for each file.
_MANY_FILES = 2000
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_swept: set[tuple[int, str]] = set()
_held: dict[str, int] = {}


@contextlib.contextmanager
def publish_file(
    target: str | os.PathLike[str], *, overwrite: bool, verify: Verify | None = None
) -> Iterator[Path]:
    """Give a path to write to, which takes the place of ``target`` once the block ends without error.

    Args:
        target: The file to publish. The path given has the same suffix and lies in the same folder.
        overwrite: Whether the file may exist already; its mode is kept.
        verify: Called with the written file before it is moved; what it raises stops the publication.

    Yields:
        The path to write. If the block fails, it is removed, and ``target`` is as it was.

    Raises:
        OutputError: The file exists and must not be overwritten, or cannot be written (folder, disk, permission).
    """
    target = Path(target)
    refuse_existing(target, overwrite=overwrite)
    sweep(target.parent)
    temporary = _beside(target, 'tmp')
    try:
        with _explained(target, temporary):
            yield temporary
            if not temporary.is_file():
                raise OutputError(
                    f'{target}: nothing was written; the writer left no file at {temporary.name}.'
                )
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            _sync(temporary)
            if verify is not None:
                verify(temporary)
            refuse_existing(target, overwrite=overwrite)
            os.replace(temporary, target)
            _sync(target.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def publish_bytes(
    target: str | os.PathLike[str], content: bytes, *, overwrite: bool, verify: Verify | None = None
) -> None:
    """Publish a file of the given content; raises as :func:`publish_file` does."""
    with publish_file(target, overwrite=overwrite, verify=verify) as path:
        path.write_bytes(content)


def publish_json(target: str | os.PathLike[str], value: Any, *, overwrite: bool) -> None:
    """Publish a value as indented JSON with a newline at its end; raises as :func:`publish_file` does."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + '\n'
    publish_bytes(target, text.encode(), overwrite=overwrite)


@contextlib.contextmanager
def publish_folder(
    target: str | os.PathLike[str], *, overwrite: bool, verify: Verify | None = None
) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of ``target`` once the block ends without error.

    Where the system can swap two names (Linux), there is no moment without a folder at ``target``. Elsewhere the
    previous one stands aside for an instant; if the process dies in it, the next writer puts it back.

    Args:
        target: The folder to publish. An empty one may be there already.
        overwrite: Whether one that is not empty may be replaced; it is removed once the new one is in place.
        verify: Called with the filled folder before it is moved; what it raises stops the publication.

    Yields:
        The folder to fill, beside ``target``. If the block fails, it is removed, and ``target`` is as it was.

    Raises:
        OutputError: The folder exists and must not be replaced, or cannot be written.
    """
    target = Path(target)
    _refuse_filled(target, overwrite=overwrite)
    sweep(target.parent)
    temporary = _beside(target, 'tmp')
    with _explained(target):
        temporary.mkdir()
    try:
        with _explained(target, temporary):
            yield temporary
            _sync_tree(temporary)
            if verify is not None:
                verify(temporary)
            _refuse_filled(target, overwrite=overwrite)
            _put_folder(temporary, target)
    finally:
        # After a swap the previous folder is here.
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(target: Path, *, overwrite: bool) -> None:
    """See that a result is not there yet.

    Raises:
        OutputError: It exists and ``overwrite`` is false, or it is a folder.
    """
    if os.path.lexists(target) and not overwrite:
        raise OutputError(
            f'{target} exists already: choose another name, remove it, or allow it to be overwritten (--overwrite).'
        )
    if target.is_dir():
        raise OutputError(f'{target} is a folder: choose another name for the file.')


def sweep(folder: str | os.PathLike[str]) -> list[Path]:
    """Remove what dead processes left half written in a folder, once for each folder and process.

    Args:
        folder: Where results are published. Only names that this module gives are touched, of this host.

    Returns:
        What was removed or put back.
    """
    folder = Path(folder)
    key = (os.getpid(), os.path.realpath(folder))
    if key in _swept or not folder.is_dir():
        return []
    _swept.add(key)
    handled = []
    for path in sorted(folder.iterdir()):
        match = _PATTERN.fullmatch(path.name)
        if match is None or match[2] != _HOST or _is_alive(int(match[3])):
            continue
        with contextlib.suppress(OSError):
            if match[1] == 'old' and not os.path.lexists(folder / match[4]):
                os.replace(path, folder / match[4])
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            handled.append(path)
    return handled


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a folder, so that no other process writes its results there.

    The lock belongs to the process and ends with it: one that a killed process left behind is taken over.

    Args:
        folder: The folder, which exists.

    Raises:
        OutputError: Another process holds it, which the message names, or it cannot be locked.
    """
    path = Path(folder) / LOCK_NAME
    key = os.path.realpath(path)
    if key in _held:
        raise OutputError(f'{folder}: is in use by this process (or its parent) already.')
    descriptor = _lock(path)
    _held[key] = os.getpid()
    try:
        yield
    finally:
        # A forked child has a copy of this frame, but not the lock.
        if _held.get(key) == os.getpid():
            del _held[key]
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        with _explained(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 64).decode('ascii', 'replace').strip() or 'unknown'
            os.close(descriptor)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise OutputError(f'{path.parent}: cannot be locked ({error.strerror}).') from error
            raise OutputError(
                f'{path.parent}: another process writes there (process {owner}). Wait for it, or name another folder.'
            ) from error
        # The previous owner may have removed the name between our opening and our locking of it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.truncate(descriptor, 0)
                os.write(descriptor, f'{os.getpid()} on {platform.node()}\n'.encode())
                return descriptor
        os.close(descriptor)


def _beside(target: Path, kind: str) -> Path:
    prefix = f'.{kind}-{_HOST}-{os.getpid()}-{secrets.token_hex(4)}-'
    # The end is kept: writers choose their format by the suffix.
    tail = target.name.encode()[-(_LONGEST_NAME - len(prefix)) :].decode(errors='ignore')
    return target.with_name(prefix + tail)


def _put_folder(temporary: Path, target: Path) -> None:
    if not os.path.lexists(target) or not any(target.iterdir()):
        os.replace(temporary, target)
        _sync(target.parent)
        return
    temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    if _swap(temporary, target):
        _sync(target.parent)
        return
    aside = _beside(target, 'old')
    os.replace(target, aside)
    try:
        os.replace(temporary, target)
    except OSError:
        os.replace(aside, target)
        raise
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _swap(first: Path, second: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), 'renameat2', None)
    if rename is None:
        return False
    names = os.fsencode(first), os.fsencode(second)
    done = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE))
    return bool(done == 0)


def _refuse_filled(target: Path, *, overwrite: bool) -> None:
    if target.is_symlink() or (os.path.lexists(target) and not target.is_dir()):
        raise OutputError(f'{target} is in the way: it is no folder. Choose another name, or remove it.')
    if not overwrite and target.is_dir() and any(target.iterdir()):
        raise OutputError(
            f'{target} exists already: choose another folder, remove it, or allow it to be overwritten (--overwrite).'
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    folders = [folder, *(path for path in folder.rglob('*') if path.is_dir() and not path.is_symlink())]
    files = [path for path in folder.rglob('*') if path.is_file() and not path.is_symlink()]
    if len(files) > _MANY_FILES:
        os.sync()
        return
    for path in (*files, *folders):
        _sync(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _explained(target: Path, temporary: Path | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The block may fail over a file of its own, which is none of our business.
        foreign = temporary is not None and error.filename is not None
        if foreign and not os.fsdecode(error.filename).startswith((str(temporary), str(target))):
            raise
        raise OutputError(
            f'{target}: cannot be written ({error.strerror or error}); {_remedy(error, target)}.'
        ) from error


def _remedy(error: OSError, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(target.parent).free if target.parent.is_dir() else 0
        return f'{free / 1e6:,.0f} MB are free there: make room or name another folder, then run again'
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return 'mend its permissions or name another folder'
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f'create the folder {target.parent} first'
    return 'see to the disk, then run again'
