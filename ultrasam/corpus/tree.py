"""The files of a source, whether it is a folder, an archive, or a folder with archives that hold archives."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ultrasam.corpus.archive import LIMITS, Limits, archive_kind, unpack
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.patterns import compiled, natural_key
from ultrasam.errors import InputError

# leftovers of file managers, never data
_CLUTTER = ('__MACOSX', '.DS_Store', 'Thumbs.db', 'desktop.ini')
_MOST_ROUNDS = 4
_Note = Callable[[str], None]


@dataclass(frozen=True)
class RawTree:
    """Regular files by their paths inside the source.

    Args:
        files: absolute path of each path inside the source, with forward slashes.
        odd: links, pipes and devices, which are never opened.
    """

    files: dict[str, Path] = field(default_factory=dict)
    odd: tuple[str, ...] = ()

    def matching(self, pattern: str) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Files that a pattern matches, in natural order: path, matched part and groups."""
        expression = compiled(pattern)
        for path in sorted(self.files, key=natural_key):
            found = expression.match(path)
            if found is not None:
                yield path, *found


def open_tree(
    source: Path,
    scratch: Path,
    archives: Sequence[str],
    *,
    note: _Note = lambda _: None,
    limits: Limits = LIMITS,
) -> RawTree:
    """List a source, unpacking what has to be.

    Args:
        source: archive or folder; nothing in it is changed.
        scratch: folder for what is unpacked; what is there already, complete, is used again.
        archives: patterns of archives inside the source.
        note: told which archive is being unpacked.
        limits: of each archive.

    Raises:
        InputError: there is no such source.
        ArchiveError: an archive is damaged or refused.
        EnvironmentFault: no room, or a program is missing.
    """
    if source.is_file():
        note(source.name)
        folder = scratch / _digest_name(source)
        if not folder.is_dir():
            unpack(source, folder, limits=limits)
        found = _list_folder(folder)
    elif source.is_dir():
        found = _list_folder(source)
    else:
        raise InputError(f'{source} does not exist: give the folder or the archive of the data set')
    for _ in range(_MOST_ROUNDS):
        inner = [path for path in sorted(found.files) if any(compiled(p).match(path) for p in archives)]
        if not inner:
            return found
        for path in inner:
            archive = found.files.pop(path)
            note(path)
            folder = scratch / _digest_name(archive)
            if not folder.is_dir():
                unpack(archive, folder, limits=limits)
            below = path.rsplit('.', 1)[0]
            unpacked = _list_folder(folder)
            for name, file in unpacked.files.items():
                if found.files.setdefault(f'{below}/{name}', file) is not file:
                    raise RawFileError(
                        f'{source}: {below}/{name} is there twice. Remove what was unpacked before'
                    )
            found = RawTree(found.files, (*found.odd, *(f'{below}/{name}' for name in unpacked.odd)))
    raise InputError(f'{source}: archives inside archives, more than {_MOST_ROUNDS} deep')


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its content."""
    return path.is_file() and archive_kind(path) is not None


def _digest_name(archive: Path) -> str:
    """A folder name that changes when the archive does."""
    state = archive.stat()
    return f'{archive.name}.{state.st_size:x}.{state.st_mtime_ns:x}'


def _list_folder(folder: Path) -> RawTree:
    """Walk a folder without following links."""
    files: dict[str, Path] = {}
    odd: list[str] = []
    waiting = [(folder, '')]
    while waiting:
        current, prefix = waiting.pop()
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.name in _CLUTTER or entry.name.startswith('._'):
                    continue
                name = prefix + entry.name
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append((Path(entry.path), f'{name}/'))
                elif stat.S_ISREG(mode):
                    files[name] = Path(entry.path)
                else:
                    odd.append(name)
    return RawTree(files, tuple(sorted(odd)))
