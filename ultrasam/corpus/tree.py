"""The files of a source, whether it is a folder, an archive, or a folder with archives that hold archives."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ultrasam.corpus.archive import LIMITS, ArchiveLimitError, Limits, Tally, unpack
from ultrasam.corpus.errors import Fault, RawFileError
from ultrasam.corpus.patterns import compiled, natural_key
from ultrasam.errors import InputError

# leftovers of file managers, never data
_CLUTTER = ('__MACOSX', '.DS_Store', 'Thumbs.db', 'desktop.ini')
# what a download leaves beside a file: its digest, and notes on what has not arrived yet
_NOTES, _UNFINISHED = ('.sha256', '.part.json'), '.part'
_MOST_ROUNDS = 4
_Note = Callable[[str], None]


@dataclass(frozen=True)
class RawTree:
    """Regular files by their paths inside the source.

    Args:
        files: absolute path of each path inside the source, with forward slashes.
        odd: links, pipes and devices, which are never opened.
        faults: files and folders whose names are no text, which nothing could refer to.
    """

    files: dict[str, Path] = field(default_factory=dict)
    odd: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    def matching(self, pattern: str) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Files that a pattern matches, in natural order: path, matched part and groups."""
        expression = compiled(pattern)
        for path in sorted(self.files, key=natural_key):
            found = expression.match(path)
            if found is not None:
                yield path, *found


def open_tree(
    source: Path | Sequence[Path],
    scratch: Path,
    archives: Sequence[str],
    *,
    is_strange: Callable[[Path], bool] = lambda _: False,
    note: _Note = lambda _: None,
    limits: Limits = LIMITS,
) -> RawTree:
    """List a source, unpacking what has to be.

    Args:
        source: archive or folder, or several archives that belong together; nothing in it is changed.
        scratch: folder for what is unpacked; what is there already, complete, is used again.
        archives: patterns of archives inside the source.
        is_strange: tells of an archive in a folder whether it is another dataset's, which stays packed.
        note: told which archive is being unpacked.
        limits: of each archive.

    Raises:
        InputError: there is no such source.
        ArchiveError: an archive is damaged or refused.
        EnvironmentFault: no room, or a program is missing.
    """
    unpacker = _Unpacker(scratch, limits, note)
    several = () if isinstance(source, Path) else tuple(source)
    source = several[0] if isinstance(source, Sequence) else source
    is_packed = source.is_file() and len(several) < 2
    if is_packed:
        found = unpacker.tree_of(source, source.name, outermost=True)
    elif len(several) > 1:
        found = RawTree({path.name: path for path in several})
    elif source.is_dir():
        found = _list_folder(source)
    else:
        raise InputError(f'{source} does not exist: give the folder or the archive of the data set')
    strangers: set[str] = set()
    for depth in range(_MOST_ROUNDS):
        inner = [path for path in sorted(found.files) if any(compiled(p).match(path) for p in archives)]
        if depth == 0 and not is_packed:
            strangers = {path for path in inner if is_strange(found.files[path])}
        inner = [path for path in inner if path not in strangers]
        if not inner:
            return found
        for path in inner:
            archive = found.files.pop(path)
            unpacked = unpacker.tree_of(archive, path, outermost=depth == 0 and not is_packed)
            found = _joined(source, found, unpacked, path.rsplit('.', 1)[0])
    raise InputError(f'{source}: archives inside archives, more than {_MOST_ROUNDS} deep')


class _Unpacker:
    """Unpacks the archives of a source, all of them within the same limits."""

    def __init__(self, scratch: Path, limits: Limits, note: _Note) -> None:
        self._scratch = scratch
        self._limits = limits
        self._note = note
        self._tally = Tally(limits)

    def tree_of(self, archive: Path, name: str, *, outermost: bool) -> RawTree:
        """The files of an archive; ``outermost`` if it was not unpacked from another one."""
        self._note(name)
        folder = self._scratch / _digest_name(archive, name)
        if outermost:
            self._tally.packed += archive.stat().st_size
        try:
            if folder.is_dir():
                found = _list_folder(folder)
                sizes = sum(file.stat().st_size for file in found.files.values())
                self._tally.add(archive, len(found.files), sizes)
                return found
            unpack(archive, folder, limits=self._limits, tally=self._tally)
        except ArchiveLimitError:
            # what the archives around it became is of no use any more, and is large
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        return _list_folder(folder)


def _joined(source: Path, found: RawTree, unpacked: RawTree, below: str) -> RawTree:
    """A tree with another one in a folder of it."""
    for name, file in unpacked.files.items():
        if found.files.setdefault(f'{below}/{name}', file) is not file:
            raise RawFileError(f'{source}: {below}/{name} is there twice. Remove what was unpacked before')
    odd = (f'{below}/{name}' for name in unpacked.odd)
    faults = (Fault(f'{below}/{fault.file}', fault.reason) for fault in unpacked.faults)
    return RawTree(found.files, (*found.odd, *odd), (*found.faults, *faults))


def _digest_name(archive: Path, name: str) -> str:
    """A folder name that changes when the archive does, and that no archive elsewhere in the source has."""
    state = archive.stat()
    place = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f'{archive.name}.{state.st_size:x}.{state.st_mtime_ns:x}.{place}'


def _list_folder(folder: Path) -> RawTree:
    """Walk a folder without following links."""
    files: dict[str, Path] = {}
    odd: list[str] = []
    faults: list[Fault] = []
    waiting = [(folder, '')]
    while waiting:
        current, prefix = waiting.pop()
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.name in _CLUTTER or entry.name.startswith('._') or entry.name.endswith(_NOTES):
                    continue
                name = prefix + entry.name
                mode = entry.stat(follow_symlinks=False).st_mode
                if not _is_text(entry.name):
                    shown = os.fsencode(name).decode('utf-8', 'backslashreplace')
                    faults.append(Fault(shown, 'its name is no UTF-8 text; rename it'))
                elif entry.name.endswith(_UNFINISHED) and stat.S_ISREG(mode):
                    faults.append(Fault(name, 'a download that is not finished: fetch it again'))
                elif stat.S_ISDIR(mode):
                    waiting.append((Path(entry.path), f'{name}/'))
                elif stat.S_ISREG(mode):
                    files[name] = Path(entry.path)
                else:
                    odd.append(name)
    return RawTree(files, tuple(sorted(odd)), tuple(sorted(faults, key=lambda fault: fault.file)))


def _is_text(name: str) -> bool:
    """Whether the bytes of a name are UTF-8: others reach Python as lone surrogates."""
    return not any('\ud800' <= letter <= '\udfff' for letter in name)
