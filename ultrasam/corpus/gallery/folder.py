"""The folder of a gallery: its pages, scripts that carry data, and nothing that is not of this gallery."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from ultrasam.atomic import locked, publish_bytes
from ultrasam.errors import OutputError

MARKER = 'gallery.json'
_KINDS = ('data', 'shapes', 'thumbs')
_SHARED = ('gallery.css', 'gallery.js', 'view.js')
# In a script these could end it, or open a comment; JSON may spell them otherwise.
_ESCAPES = {ord(letter): f'\\u{ord(letter):04x}' for letter in '<>&\u2028\u2029'}


class GalleryFolder:
    """Writes a gallery, and removes what an earlier run left there and this one did not ask for.

    Args:
        path: of the folder.
        kind: ``'corpus'`` or ``'predictions'``.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._kind = kind
        self._wanted: set[Path] = set()

    def subfolder(self, kind: str, name: str = '') -> Path:
        """A folder for ``'data'``, ``'shapes'`` or ``'thumbs'`` of a data set, made if need be."""
        folder = self.path / kind / folder_name(name) if name else self.path / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def keep(self, path: Path) -> None:
        """Say that a file belongs to this gallery."""
        self._wanted.add(path)

    def write_script(self, path: Path, kind: str, value: Any) -> None:
        """Publish data as a script: pages that are opened from disk may load scripts, but no JSON."""
        publish_bytes(path, script_text(kind, path.stem, value).encode(), overwrite=True)
        self.keep(path)

    def write_pages(self) -> None:
        """Publish the pages themselves, the first page last."""
        source = resources.files('ultrasam.corpus.gallery') / 'page'
        names = {name: name for name in (*_SHARED, f'{self._kind}.js')}
        for name, target in {**names, f'{self._kind}.html': 'index.html'}.items():
            publish_bytes(self.path / target, (source / name).read_bytes(), overwrite=True)

    def remove_rest(self) -> int:
        """Remove files of earlier runs; returns how many."""
        removed = 0
        for kind in _KINDS:
            for parent, _, names in os.walk(self.path / kind, topdown=False):
                for path in (Path(parent, name) for name in names):
                    if path not in self._wanted:
                        path.unlink()
                        removed += 1
                if not os.listdir(parent):
                    os.rmdir(parent)
        return removed


@contextmanager
def open_gallery(path: Path, kind: str) -> Iterator[GalleryFolder]:
    """Hold the folder of a gallery: a new one, or one that an earlier run of the same kind made.

    Args:
        path: of the folder; made if it is not there.
        kind: ``'corpus'`` or ``'predictions'``.

    Raises:
        OutputError: it holds something else, another process writes there, or it cannot be written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        there = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise OutputError(
            f'{path}: cannot be the folder of a gallery ({error.strerror}): name another'
        ) from error
    if there and not _is_ours(path / MARKER, kind):
        raise OutputError(
            f'{path} holds {there[0]} and is no gallery of this kind: name a folder that is empty or not there yet'
        )
    with locked(path):
        publish_bytes(path / MARKER, json.dumps({'gallery': kind}).encode() + b'\n', overwrite=True)
        yield GalleryFolder(path, kind)


def script_text(kind: str, name: str, value: Any) -> str:
    r"""A script that hands a value to the page, in letters that cannot end a script.

    Example:
        >>> script_text('data', 'a', ['</script>'])
        'Gallery.receive("data", "a", ["\\u003c/script\\u003e"]);\n'
    """
    texts = (json.dumps(part, ensure_ascii=False, allow_nan=False) for part in (kind, name, value))
    return f'Gallery.receive({", ".join(texts)});\n'.translate(_ESCAPES)


def read_script(path: Path) -> Any:
    """The value that :func:`script_text` wrote, or None where there is no such file, or a damaged one."""
    try:
        text = path.read_text(encoding='utf-8').removeprefix('Gallery.receive(').removesuffix(');\n')
        return json.loads(f'[{text}]')[2]
    except (OSError, ValueError, IndexError):
        return None


def digest_of(value: Any) -> str:
    """A short name for a value, the same for the same value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def folder_name(name: str) -> str:
    """A name of plain letters for a data set, unlike that of any other."""
    plain = re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:40]
    return f'{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}'


def address_of(target: Path, start: Path) -> str:
    """The address of a folder as seen from a page in another one, with a slash at its end."""
    relative = os.path.relpath(os.path.realpath(target), os.path.realpath(start))
    return quote(PurePath(relative).as_posix()) + '/'


def _is_ours(marker: Path, kind: str) -> bool:
    try:
        return bool(json.loads(marker.read_text(encoding='utf-8')) == {'gallery': kind})
    except (OSError, ValueError):
        return False
