"""The sha256 of a checkpoint, kept in a small file beside it: written with it, compared when it is opened.

No checkpoint format notices a flipped bit in a weight. ``NAME.sha256`` does; its lines are those of ``sha256sum``,
which can check it too. A manifest ``NAME.json`` that says which file it is of counts as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ultrasam.atomic import Verify, publish_bytes, publish_file
from ultrasam.errors import CheckpointError
from ultrasam.hashing import file_sha256

SUFFIX = '.sha256'
_SHA256 = re.compile(r'[0-9a-f]{64}')
_LARGEST_RECORD = 1 << 20


def record_path(path: str | os.PathLike[str]) -> Path:
    """Where the sha256 of a file is kept: its name and ``.sha256``."""
    return Path(f'{os.fspath(path)}{SUFFIX}')


def recorded_digests(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The digests that a file may have, by what is kept beside it.

    Two for the moment in which one version replaces another, else one; none where nothing is kept.

    Args:
        path: The file.

    Raises:
        CheckpointError: A record is there, but it holds no sha256 of this file.
    """
    path = Path(path)
    record, manifest = record_path(path), Path(f'{path}.json')
    if record.is_file():
        lines = [line.split(maxsplit=1) for line in _text(record).splitlines() if line.strip()]
        named = [line[0] for line in lines if len(line) == 1 or line[1].lstrip('*') == path.name]
        found = named or [line[0] for line in lines if len(lines) == 1]
        if not found or not all(_SHA256.fullmatch(digest.lower()) for digest in found):
            raise CheckpointError(
                f'{record}: holds no sha256 of {path.name}. If the checkpoint is good, write it anew: '
                f'sha256sum {path.name} > {record.name}'
            )
        return tuple(digest.lower() for digest in found)
    if manifest.is_file():
        try:
            content = json.loads(_text(manifest))
        except ValueError as error:
            raise CheckpointError(
                f'{manifest}: is damaged ({error}). Fetch it again with {path.name}.'
            ) from error
        return _digests_of_manifest(content, path.name)
    return ()


def _digests_of_manifest(content: Any, name: str) -> tuple[str, ...]:
    """``{'file': NAME, 'sha256': ...}`` or ``{'files': {NAME: {'sha256': ...}}}``; anything else says nothing."""
    if not isinstance(content, dict):
        return ()
    files = content.get('files')
    entry = files.get(name) if isinstance(files, dict) else content if content.get('file') == name else None
    digest = str(entry.get('sha256', '')).lower() if isinstance(entry, dict) else ''
    return (digest,) if _SHA256.fullmatch(digest) else ()


def check_digest(path: str | os.PathLike[str]) -> str | None:
    """Compare a file with the sha256 that is kept beside it.

    Args:
        path: The file.

    Returns:
        Its sha256, or None where nothing is kept to compare with.

    Raises:
        CheckpointError: They differ, or the record is malformed.
    """
    expected = recorded_digests(path)
    if not expected:
        return None
    found = file_sha256(path)
    if found not in expected:
        raise CheckpointError(
            f'{path}: damaged or exchanged: its sha256 is {found}, recorded beside it is {expected[0]}. Fetch it again '
            f'or use an earlier checkpoint; if you replaced it on purpose, remove {record_path(path).name}.'
        )
    return found


@contextlib.contextmanager
def publish_checkpoint(
    target: str | os.PathLike[str], *, overwrite: bool, verify: Verify | None = None
) -> Iterator[Path]:
    """Publish a checkpoint with its sha256, so that file and record fit each other at every moment.

    Args:
        target: The file; see :func:`ultrasam.atomic.publish_file`.
        overwrite: Whether it may exist already.
        verify: Called with the written file before it is moved.

    Yields:
        The path to write.

    Raises:
        OutputError: It exists and must not be overwritten, or cannot be written.
    """
    target = Path(target)
    digest = ''

    def record_both(path: Path) -> None:
        nonlocal digest
        if verify is not None:
            verify(path)
        digest = file_sha256(path)
        # Until the move is done the file may be the old one.
        old = (file_sha256(target),) if target.is_file() else ()
        _write_record(target, (digest, *old))

    with publish_file(target, overwrite=overwrite, verify=record_both) as path:
        yield path
    _write_record(target, (digest,))


def remove_checkpoint(path: str | os.PathLike[str]) -> None:
    """Remove a checkpoint and then its record; what is missing already is no error."""
    for file in (Path(path), record_path(path)):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()


def _write_record(target: Path, digests: tuple[str, ...]) -> None:
    lines = ''.join(f'{digest}  {target.name}\n' for digest in digests)
    publish_bytes(record_path(target), lines.encode(), overwrite=True)


def _text(path: Path) -> str:
    with open(path, 'rb') as file:
        return file.read(_LARGEST_RECORD).decode('utf-8', 'replace')
