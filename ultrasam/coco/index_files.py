"""The index of a COCO file kept on disk, mapped into memory by every process that reads with it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_file
from ultrasam.coco.index import CocoIndex
from ultrasam.errors import OutputError
from ultrasam.hashing import file_sha256

Stamp = tuple[int, int, int, int]
"""Bytes, time of the content, time of the entry (which nobody can set back) and inode: the file is still the same."""

_LOG = logging.getLogger(__name__)
_VERSION = 'ultrasam coco index 4'
_ALIGNED = 64
# A file that was written this shortly before it was read may be written again without its time showing it.
_RACE_NS = 2_000_000_000


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells quickly that a file is still the same."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def index_places(path: Path) -> list[Path]:
    """Return where the index of a file may be: beside it, or in the folder of the user."""
    place = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return [path.with_name(f'.{path.name}.index'), cache / 'ultrasam' / f'{place}-{path.name}.index']


def find_index(path: Path, stamp: Stamp) -> CocoIndex | None:
    """Return the index of a COCO file that has this stamp now, or None if there is none."""
    for place in index_places(path):
        try:
            source, index = _open(place)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning('%s: index is damaged (%s) and made again', place, error)
            continue
        if tuple(source['stamp']) == stamp and source['read_ns'] - stamp[1] > _RACE_NS:
            return index
        read_ns = time.time_ns()
        if source['stamp'][0] == stamp[0] and file_sha256(path) == source['sha256']:
            return keep_index(path, stamp, source['sha256'], read_ns, index) or index
    return None


def keep_index(path: Path, stamp: Stamp, sha256: str, read_ns: int, index: CocoIndex) -> CocoIndex | None:
    """Write the index of a file where that is possible.

    Args:
        path: The COCO file.
        stamp: Its stamp when it was read.
        sha256: The digest of its content.
        read_ns: When reading began.
        index: Its index.

    Returns:
        The same, mapped from the disk; None where none of the places can be written, which the log says.
    """
    reasons: list[str] = []
    for place in index_places(path):
        try:
            if place.parent != path.parent:
                place.parent.mkdir(parents=True, exist_ok=True)
            with publish_file(place, overwrite=True) as written:
                _write(written, {'stamp': stamp, 'sha256': sha256, 'read_ns': read_ns}, index)
            if reasons:
                _LOG.warning('%s: index kept at %s (%s)', path, place, '; '.join(reasons))
            return _open(place)[1]
        except (OutputError, OSError, ValueError, KeyError) as error:
            reasons.append(str(error))
    _LOG.warning('%s: index kept in memory only, each start makes it anew (%s)', path, '; '.join(reasons))
    return None


def _write(path: Path, source: dict[str, Any], index: CocoIndex) -> None:
    """Write a line of JSON, then the arrays, each from an aligned place on."""
    body, table = bytearray(), {}
    for name, values in index.arrays().items():
        table[name] = (values.dtype.str, values.shape, len(body))
        body += np.ascontiguousarray(values).tobytes()
        body += bytes(-len(body) % _ALIGNED)
    header = {
        'version': _VERSION,
        'source': source,
        'info': index.info,
        'categories': index.categories,
        'arrays': table,
        'checksum': zlib.crc32(body),
    }
    text = json.dumps(header).encode()
    path.write_bytes(text + b' ' * (-(len(text) + 1) % _ALIGNED) + b'\n' + body)


def _open(path: Path) -> tuple[dict[str, Any], CocoIndex]:
    with path.open('rb') as file:
        header = json.loads(file.readline())
        # a plain view: slices of np.memmap are slow
        body = np.asarray(np.memmap(file, np.uint8, 'r', file.tell()))
    if header['version'] != _VERSION or zlib.crc32(body.data) != header['checksum']:
        raise ValueError('of another version, or not what was written')
    arrays = {}
    for name, (dtype, shape, start) in header['arrays'].items():
        size = np.dtype(dtype).itemsize * int(np.prod(shape))
        arrays[name] = body[start : start + size].view(dtype).reshape(shape)
    return header['source'], CocoIndex(info=header['info'], categories=header['categories'], **arrays)
