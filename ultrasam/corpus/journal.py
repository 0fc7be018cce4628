"""The journal of a conversion: what is done, so that one that was stopped goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from ultrasam.atomic import LOCK_NAME, locked, publish_bytes
from ultrasam.corpus.errors import EnvironmentFault
from ultrasam.corpus.manifest import MANIFEST
from ultrasam.corpus.pipeline import ItemResult
from ultrasam.corpus.plan import Item
from ultrasam.corpus.spec import Choices
from ultrasam.errors import OutputError
from ultrasam.version import __version__

_SYNC_EVERY = 64


class Journal:
    """Results of items, one JSON line each, valid only for the same files, description and version.

    Args:
        path: of the file.
        description: of the data set; a change of it makes every line void.
        choices: what the user chose; others make every line void.
        frames: folder of the frames that the results name.
    """

    def __init__(self, path: Path, *, description: Path, choices: Choices, frames: Path) -> None:
        self._path = path
        self._frames = frames
        basis = [__version__.encode(), description.read_bytes(), repr(choices).encode()]
        self._basis = hashlib.sha256(b'\0'.join(basis)).hexdigest()
        self._done = self._read(path)
        self._since_sync = 0
        self._file: IO[str] = path.open('a', encoding='utf-8')

    def result_of(self, item: Item) -> ItemResult | None:
        """What became of an item earlier, if its files are unchanged and its frames are there; no fault counts."""
        mark, result = self._done.get(item.key, ('', None))
        if result is None or mark != self._mark(item):
            return None
        for record in result.frames:
            path = self._frames / record['file']
            if not path.is_file() or path.stat().st_size != record['bytes']:
                return None
        return result

    def add(self, item: Item, result: ItemResult) -> None:
        """Note a result."""
        if result.fault:
            return
        line = json.dumps({'mark': self._mark(item), 'result': result.as_dict()})
        try:
            self._file.write(f'{line}\n')
            self._file.flush()
            self._since_sync += 1
            if self._since_sync >= _SYNC_EVERY:
                os.fsync(self._file.fileno())
                self._since_sync = 0
        except OSError as error:
            raise EnvironmentFault(
                f'{self._path}: {len(line) + 1:,} bytes cannot be written ({error.strerror}): make room or mend '
                'permissions, then run again to resume'
            ) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            # what could not be written before cannot be written now; the first error says more
            if error is None:
                raise

    def _read(self, path: Path) -> dict[str, tuple[str, ItemResult]]:
        if not path.is_file():
            return {}
        lines = list(_whole_lines(path))
        # a line that a kill cut short must not swallow the next; a second kill must not cost the others
        publish_bytes(path, ''.join(f'{line}\n' for line, _, _ in lines).encode(), overwrite=True)
        return {result.key: (mark, result) for _, mark, result in lines}

    def _mark(self, item: Item) -> str:
        """A digest of all on which the result depends."""
        digest = hashlib.sha256(self._basis.encode())
        groups = json.dumps([item.key, item.groups, item.rows, item.part], sort_keys=True)
        digest.update(groups.encode())
        for file in item.files:
            state = file.path.stat()
            digest.update(f'{file.name}\0{state.st_size}\0{state.st_mtime_ns}\0'.encode())
        return digest.hexdigest()


def remove_finished(work: Path, journal: str, dataset: Path) -> None:
    """Remove what a conversion leaves that was killed after its data set was in place.

    Args:
        work: folder in which it worked. It is kept while another process uses it, and if a frame of its journal
            is not published, or one that is published is not in its journal: then it is of another conversion.
        journal: name of the journal in it.
        dataset: folder of the data set.
    """
    if not work.is_dir() or not (dataset / MANIFEST).is_file():
        return
    with contextlib.suppress(OutputError), locked(work):
        there = {path.name for path in work.iterdir()} - {LOCK_NAME}
        frames = _frames_in(work / journal)
        if not there or (frames and frames == _frames_of(dataset)):
            shutil.rmtree(work, ignore_errors=True)


def _frames_in(journal: Path) -> Counter[str]:
    """SHA-256 of each frame of a journal."""
    if not journal.is_file():
        return Counter()
    results = {result.key: result for _, _, result in _whole_lines(journal)}
    return Counter(str(record.get('sha256')) for result in results.values() for record in result.frames)


def _frames_of(dataset: Path) -> Counter[str] | None:
    """SHA-256 of each image of a data set; None if its manifest is damaged."""
    try:
        files = json.loads((dataset / MANIFEST).read_text(encoding='utf-8'))['files']
        return Counter(digest for name, digest in files.items() if name.startswith('images/'))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _whole_lines(path: Path) -> Iterator[tuple[str, str, ItemResult]]:
    """Lines of a journal that were not cut short: text, mark and result."""
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            entry = json.loads(line)
            yield line, entry['mark'], ItemResult(**entry['result'])
        except (ValueError, KeyError, TypeError):
            continue
