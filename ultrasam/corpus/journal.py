"""The journal of a conversion: what is done, so that one that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from ultrasam import __version__
from ultrasam.atomic import publish_bytes
from ultrasam.corpus.plan import Item
from ultrasam.corpus.worker import ItemResult

_SYNC_EVERY = 64


class Journal:
    """Results of items, one JSON line each, valid only for the same files, description and version.

    Args:
        path: of the file.
        description: of the data set; a change of it makes every line void.
        published: whether the choices of the published model's data are made.
        frames: folder of the frames that the results name.
    """

    def __init__(self, path: Path, *, description: Path, published: bool, frames: Path) -> None:
        self._frames = frames
        basis = [__version__.encode(), description.read_bytes(), str(published).encode()]
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
        self._file.write(f'{line}\n')
        self._file.flush()
        self._since_sync += 1
        if self._since_sync >= _SYNC_EVERY:
            os.fsync(self._file.fileno())
            self._since_sync = 0

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _read(self, path: Path) -> dict[str, tuple[str, ItemResult | None]]:
        done: dict[str, tuple[str, ItemResult | None]] = {}
        if not path.is_file():
            return done
        whole = []
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            try:
                entry = json.loads(line)
                result = ItemResult(**entry['result'])
                done[result.key] = (entry['mark'], result)
                whole.append(line)
            except (ValueError, KeyError, TypeError):
                continue
        # a line that a kill cut short must not swallow the next; a second kill must not cost the others
        publish_bytes(path, ''.join(f'{line}\n' for line in whole).encode(), overwrite=True)
        return done

    def _mark(self, item: Item) -> str:
        """A digest of all on which the result depends."""
        digest = hashlib.sha256(self._basis.encode())
        groups = json.dumps([item.key, item.groups, item.rows, item.part], sort_keys=True)
        digest.update(groups.encode())
        for file in item.files:
            state = file.path.stat()
            digest.update(f'{file.name}\0{state.st_size}\0{state.st_mtime_ns}\0'.encode())
        return digest.hexdigest()
