"""A COCO file written record by record: one record a line, same content, same bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import IO, Any

_CHUNK = 1 << 20
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class CocoWriter:
    """Writes a COCO file record by record; memory does not grow with it.

    Args:
        file: Opened for writing; images go there.
        spool: Opened for writing and reading; annotations wait there until all images are known.
        head: What comes before the images, in order.
    """

    def __init__(self, file: IO[bytes], spool: IO[bytes], head: Mapping[str, Any]) -> None:
        self._file = file
        self._spool = spool
        self.images = 0
        self.annotations = 0
        file.write(b'{\n')
        for key, value in head.items():
            file.write(f'{_encode(key)}: {_encode(value)},\n'.encode())
        file.write(b'"images": [')
        spool.write(b'],\n"annotations": [')

    def add_image(self, record: Mapping[str, Any]) -> None:
        """Write an image."""
        self._file.write((',\n' if self.images else '\n').encode() + _encode(record).encode())
        self.images += 1

    def add_annotation(self, record: Mapping[str, Any]) -> None:
        """Write an annotation."""
        self._spool.write((',\n' if self.annotations else '\n').encode() + _encode(record).encode())
        self.annotations += 1

    def finish(self, tail: Mapping[str, Any] | None = None) -> None:
        """Join both parts, with what is known at the end alone behind them."""
        if self.images:
            self._file.write(b'\n')
        self._spool.write(b'\n]' if self.annotations else b']')
        for key, value in (tail or {}).items():
            self._spool.write(f',\n{_encode(key)}: {_encode(value)}'.encode())
        self._spool.write(b'\n}\n')
        self._spool.seek(0)
        shutil.copyfileobj(self._spool, self._file, _CHUNK)
