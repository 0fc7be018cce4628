"""A COCO file whose records are read when they are wanted: what stays in memory is an index, shared by processes."""

from __future__ import annotations

import io
import json
import logging
import os
import time
import weakref
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from ultrasam.coco.index import CocoIndex, build_index
from ultrasam.coco.index_files import Stamp, find_index, keep_index, stamp_of
from ultrasam.coco.record_checks import complete, with_whole_ids
from ultrasam.errors import AnnotationError

_LOG = logging.getLogger(__name__)
# Indexing this many bytes takes a fraction of a second: less is not worth a file of its own.
SMALLEST_KEPT = 8 << 20
# records of an image that lie at most this many bytes apart are read at once
_GAP = 1 << 10


class CocoRecords:
    """Records of a COCO file, by the number of their image; :func:`open_records` makes it.

    Args:
        content: where the bytes are.
        index: where each record is in them.
        is_kept: the index is on disk, so that another process maps it again.
    """

    def __init__(self, content: FileContent | HeldContent, index: CocoIndex, *, is_kept: bool) -> None:
        self._content = content
        self.index = index
        self._is_kept = is_kept

    def __len__(self) -> int:
        return len(self.index.image_spans)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._is_kept:
            return open_records, (self._content, 0)
        return partial(CocoRecords, is_kept=False), (self._content, self.index)

    def image(self, number: int) -> dict[str, Any]:
        """An image as the file has it."""
        start, stop = self.index.image_spans[number].tolist()
        return self._parsed(self._content.read(start, stop))

    def annotations(self, number: int, size_hw: tuple[int, int]) -> list[dict[str, Any]]:
        """The annotations of an image, in the order of the file; boxes and areas that it lacks are computed."""
        first, last = self.index.first_annotation[number : number + 2].tolist()
        spans = self.index.annotation_spans[first:last].tolist()
        records = [self._parsed(data) for data in self._read(spans)]
        for record in records:
            complete(record, size_hw)
        return records

    def _read(self, spans: list[list[int]]) -> list[bytes]:
        """Return the bytes of each record, with one read where they follow one another."""
        close = all(0 <= after[0] - before[1] <= _GAP for before, after in pairwise(spans))
        if not spans or not close:
            return [self._content.read(start, stop) for start, stop in spans]
        begin = spans[0][0]
        data = self._content.read(begin, spans[-1][1])
        return [data[start - begin : stop - begin] for start, stop in spans]

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            return with_whole_ids(dict(json.loads(data)))
        except (ValueError, TypeError) as error:
            raise _changed(self._content.name) from error


class FileContent:
    """Bytes of a file that must not change while it is read.

    Args:
        path: the file.
        stamp: what it must have; None takes it as it is.

    Raises:
        AnnotationError: it cannot be opened, or is another one by now.
    """

    def __init__(self, path: Path, stamp: Stamp | None = None) -> None:
        self.path = path
        self.name = str(path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise AnnotationError(f'annotation file {path} cannot be read: {error.strerror}') from error
        weakref.finalize(self, os.close, self._descriptor)
        self.stamp = stamp or stamp_of(os.fstat(self._descriptor))
        self.check()

    def __reduce__(self) -> tuple[Any, ...]:
        return FileContent, (self.path, self.stamp)

    def open(self) -> IO[bytes]:
        """The same file, from its start."""
        file = os.fdopen(os.dup(self._descriptor), 'rb')
        file.seek(0)
        return file

    def read(self, start: int, stop: int) -> bytes:
        """Some of its bytes; processes and threads can do so at once."""
        data = os.pread(self._descriptor, stop - start, start)
        self.check()
        return data

    def check(self) -> None:
        """See that it is the file that was opened first.

        Raises:
            AnnotationError: it was written meanwhile.
        """
        size, modified, _, inode = stamp_of(os.fstat(self._descriptor))
        # the time of the entry also changes when the file gets another name
        if (size, modified, inode) != (self.stamp[0], self.stamp[1], self.stamp[3]):
            raise _changed(self.name)


class HeldContent:
    """Bytes that are in memory, such as those of a remote file.

    Args:
        data: all of them.
        name: how errors call them.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self.name = name

    def open(self) -> IO[bytes]:
        """All of them as a file."""
        return io.BytesIO(self._data)

    def read(self, start: int, stop: int) -> bytes:
        """Some of them."""
        return self._data[start:stop]


def open_records(content: FileContent | HeldContent, smallest_kept: int = SMALLEST_KEPT) -> CocoRecords:
    """Index a COCO file, or find its index on disk.

    Args:
        content: of the file.
        smallest_kept: size in bytes from which the index of a file is kept on disk.

    Raises:
        AnnotationError: it is damaged, no COCO file, or has faulty records.
    """
    if isinstance(content, HeldContent) or content.stamp[0] < smallest_kept:
        return CocoRecords(content, build_index(content)[0], is_kept=False)
    kept = find_index(content.path, content.stamp)
    if kept is not None:
        return CocoRecords(content, kept, is_kept=True)
    read_ns = time.time_ns()
    _LOG.info('%s: indexing, once', content.name)
    index, sha256 = build_index(content)
    content.check()
    kept = keep_index(content.path, content.stamp, sha256, read_ns, index)
    return CocoRecords(content, kept or index, is_kept=kept is not None)


def _changed(name: str) -> AnnotationError:
    return AnnotationError(f'annotation file {name} was changed while it was in use: start again')
