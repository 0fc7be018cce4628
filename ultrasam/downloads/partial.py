"""A file that is still arriving: NAME.part, and what is needed to go on with it another day."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from ultrasam.atomic import publish_bytes
from ultrasam.downloads.integrity import DownloadError
from ultrasam.errors import OutputError

_SPARE_BYTES = 64 << 20  # a disk filled to the last byte hurts other programs


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which version of which address the bytes came from.

    Args:
        url: the address that was asked, before redirects.
        validator: strong ETag or date of the version, for ``If-Range``; None if the server tells neither.
        total: size of the whole file in bytes; None if the server does not tell.
    """

    url: str
    validator: str | None
    total: int | None


class PartialFile:
    """The bytes that have arrived so far, in order.

    Args:
        target: the file that it will become; it lies beside it.

    Attributes:
        restarted: whether the bytes of earlier calls were dropped.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f'{target.name}.part')
        self.note = target.with_name(f'{target.name}.part.json')
        self.restarted = False

    @property
    def length(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self) -> Origin | None:
        """Where the bytes come from; None if their note is missing or unreadable."""
        try:
            return Origin(**json.loads(self.note.read_text(encoding='utf-8')))
        except (OSError, ValueError, TypeError):
            return None

    def forget(self) -> None:
        """Drop the bytes and the note; the claim stays."""
        self.restarted = True
        try:
            self.note.unlink(missing_ok=True)
            os.truncate(self.path, 0)
        except OSError as error:
            raise OutputError(f'{self.path}: cannot be written ({error})') from error

    def restart(self, origin: Origin) -> None:
        """Begin anew, and note where the bytes will come from."""
        self.forget()
        publish_bytes(self.note, json.dumps(asdict(origin)).encode(), overwrite=True)

    def append(self, data: bytes) -> None:
        """Add the next bytes.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
        """
        try:
            with self.path.open('ab') as file:
                file.write(data)
        except OSError as error:
            raise OutputError(
                f'{self.path}: cannot be written ({error}); what arrived is kept, run again to go on'
            ) from error

    def publish(self) -> None:
        """Give the file its name: whole, readable, on disk."""
        try:
            with self.path.open('rb') as file:
                os.fsync(file.fileno())
            self.path.chmod(0o644)
            os.replace(self.path, self.target)
            folder = os.open(self.target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise OutputError(f'{self.target}: cannot be written ({error})') from error
        self.note.unlink(missing_ok=True)

    def ensure_space(self, still_to_come: int) -> None:
        """Refuse a download that the disk cannot hold.

        Raises:
            OutputError: not enough free bytes.
        """
        free = shutil.disk_usage(self.target.parent).free
        if free < still_to_come + _SPARE_BYTES:
            raise OutputError(
                f'{self.target}: needs {still_to_come / 1e6:,.1f} MB more and {_SPARE_BYTES / 1e6:,.0f} MB to '
                f'spare, but {self.target.parent} has {free / 1e6:,.1f} MB free. Make room or choose another folder'
            )

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the partial file for this process alone.

        Raises:
            DownloadError: another process holds it.
            OutputError: the folder cannot be written.
        """
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open('ab')
        except OSError as error:
            raise OutputError(f'{self.path}: cannot be written ({error})') from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DownloadError(
                    f'{self.target.name}: another process is fetching it to the same folder'
                ) from error
            # Between open and lock another process may have published the very file that was opened.
            if not self._is(file):
                raise DownloadError(f'{self.target.name}: another process has just fetched it; run again')
            try:
                yield
            finally:
                if self._is(file) and not self.length:
                    self.note.unlink(missing_ok=True)
                    self.path.unlink(missing_ok=True)

    def _is(self, file: IO[bytes]) -> bool:
        """Whether the partial file is still the one that was opened."""
        return self.path.exists() and os.path.samestat(os.fstat(file.fileno()), self.path.stat())
