"""The index of a COCO file kept on disk, mapped into memory by every process that reads with it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_file
from ultrasam.coco.indexing import CocoIndex
from ultrasam.errors import OutputError
from ultrasam.hashing import file_sha256

_LOG = logging.getLogger(__name__)
_MAGIC = b'ultrasam coco index 2\n'
_ALIGNED = 64
_BLOCK = 1 << 20
# A file that was written this shortly before it was read may be written again without its time showing it.
_RACE_NS = 2_000_000_000


@dataclass(frozen=True)
class Stamp:
    """What tells quickly that a file is still the same.

    Args:
        size: in bytes.
        modified_ns: time of its content.
        changed_ns: time of its entry; nobody can set it back.
        inode: of its entry.
    """

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """From what the system tells."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True)
class Source:
    """The state of an annotation file that an index is of.

    Args:
        stamp: when it was read.
        sha256: of its content.
        read_ns: when reading began.
    """

    stamp: Stamp
    sha256: str
    read_ns: int

    def is_surely(self, stamp: Stamp) -> bool:
        """Whether a file with this stamp is the one that was read, without looking into it."""
        return stamp == self.stamp and self.read_ns - stamp.modified_ns > _RACE_NS


def index_places(path: Path) -> list[Path]:
    """Where the index of a file may be: beside it, or in the folder of the user."""
    place = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return [path.with_name(f'.{path.name}.index'), cache / 'ultrasam' / f'{place}-{path.name}.index']


def find_index(path: Path, stamp: Stamp) -> CocoIndex | None:
    """The index of a file as it is now, or None if there is none.

    Args:
        path: the COCO file.
        stamp: of it.
    """
    for place in index_places(path):
        try:
            found = _open(place)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning('%s: index is damaged (%s) and made again', place, error)
            continue
        source, index = found
        if source.is_surely(stamp):
            return index
        read_ns = time.time_ns()
        if stamp.size == source.stamp.size and file_sha256(path) == source.sha256:
            return keep_index(path, Source(stamp, source.sha256, read_ns), index) or index
    return None


def keep_index(path: Path, source: Source, index: CocoIndex) -> CocoIndex | None:
    """Write the index of a file where that is possible.

    Args:
        path: the COCO file.
        source: its state.
        index: of it.

    Returns:
        The same, mapped from the disk; None where none of the places can be written, which the log says.
    """
    reasons: list[str] = []
    for place in index_places(path):
        try:
            if place.parent != path.parent:
                place.parent.mkdir(parents=True, exist_ok=True)
            with publish_file(place, overwrite=True) as written:
                _write(written, source, index)
            if reasons:
                _LOG.warning('%s: index kept at %s (%s)', path, place, '; '.join(reasons))
            return _open(place)[1]
        except (OutputError, OSError, ValueError, KeyError) as error:
            reasons.append(str(error))
    _LOG.warning('%s: index kept in memory only, each start makes it anew (%s)', path, '; '.join(reasons))
    return None


def _write(path: Path, source: Source, index: CocoIndex) -> None:
    arrays = {name: np.ascontiguousarray(getattr(index, name)) for name in index.array_names()}
    table: dict[str, Any] = {}
    offset, checksum = 0, 0
    for name, values in arrays.items():
        table[name] = {'dtype': values.dtype.str, 'shape': values.shape, 'offset': offset}
        offset += values.nbytes + _padding(values.nbytes)
        for block in _blocks(values):
            checksum = zlib.crc32(block, checksum)
    header = {
        'source': asdict(source),
        'categories': index.categories,
        'arrays': table,
        'bytes': offset,
        'checksum': checksum,
    }
    text = json.dumps(header).encode()
    text += b' ' * _padding(len(_MAGIC) + len(text) + 1) + b'\n'
    with path.open('wb') as file:
        file.write(_MAGIC + text)
        for values in arrays.values():
            for block in _blocks(values):
                file.write(block)


def _blocks(values: np.ndarray) -> Iterator[bytes]:
    """The bytes of an array, with zeros up to the next aligned place."""
    flat = values.reshape(-1).view(np.uint8)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK].tobytes()
    yield bytes(_padding(values.nbytes))


def _padding(size: int) -> int:
    return -size % _ALIGNED


def _open(path: Path) -> tuple[Source, CocoIndex]:
    with path.open('rb') as file:
        if file.readline() != _MAGIC:
            raise ValueError('of another version')
        header = json.loads(file.readline())
        begin = file.tell()
        checksum, size = 0, 0
        for block in iter(lambda: file.read(_BLOCK), b''):
            checksum = zlib.crc32(block, checksum)
            size += len(block)
        if (size, checksum) != (header['bytes'], header['checksum']):
            raise ValueError('its content is not what was written')
        mapped = np.memmap(file, np.uint8, 'r', begin, size)
    arrays = {}
    for name in CocoIndex.array_names():
        entry = header['arrays'][name]
        dtype, shape = np.dtype(entry['dtype']), tuple(entry['shape'])
        stop = entry['offset'] + dtype.itemsize * int(np.prod(shape))
        # a plain view: slices of np.memmap are slow
        arrays[name] = np.asarray(mapped[entry['offset'] : stop]).view(dtype).reshape(shape)
    source = dict(header['source'])
    return (
        Source(**{**source, 'stamp': Stamp(**source['stamp'])}),
        CocoIndex(categories=header['categories'], **arrays),
    )
