"""Where the files of a dataset lie in a folder of downloads: under its name, or under the names that its site gives."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ultrasam.corpus.patterns import compiled
from ultrasam.corpus.spec import DatasetSpec

# files of a folder that are looked at; an unpacked release shows one that its description names much earlier
_MOST_FILES = 20_000


def find_source(root: Path, short_name: str, spec: DatasetSpec) -> tuple[Path, ...]:
    """Find the release of a dataset in a folder of many.

    A folder or archive with the short name or the name of the dataset comes first. Otherwise archives, and folders that
    were unpacked from them, are known by the names in the description; where these could be anybody's, such as
    ``archive.zip``, by the files that they hold.

    Args:
        root: Folder of downloads.
        short_name: Short name of the dataset, that of its description file.
        spec: The description.

    Returns:
        One folder or archive, or several archives that belong together; none if nothing there is of this dataset. The
        root itself if the parts of the release lie open in it.
    """
    if not root.is_dir():
        return ()
    wanted = {short_name.casefold(), spec.name.casefold()}
    entries = [path for path in sorted(root.iterdir()) if not path.name.startswith('.')]
    for path in entries:
        names = {path.name.casefold(), *((_stem(path.name).casefold(),) if path.is_file() else ())}
        if wanted & names:
            return (path,)
    archives = [path for path in entries if path.is_file() and _is_called_so(path.name, spec)]
    found = [path for path in archives if holds(path, spec)]
    if found and (any(_is_named(path.name, spec) for path in found) or _are_complete(found, spec)):
        return tuple(found)
    folders = [path for path in entries if path.is_dir() and _is_named(f'{path.name}.zip', spec)]
    found = [path for path in folders if holds(path, spec)]
    # several are the parts of a release that lies open here
    return (root,) if len(found) > 1 else tuple(found)


def holds(path: Path, spec: DatasetSpec) -> bool:
    """Return whether a folder or archive may hold files of a dataset.

    Of a zip archive the names of its members tell. Other archives cannot be listed without unpacking them: they are
    taken at their word if a pattern of the description names them by more than their ending.
    """
    if path.is_dir():
        return any(_is_of(name, spec) for name in _files_below(path))
    names = _members(path)
    return _is_named(path.name, spec) if names is None else any(_is_of(name, spec) for name in names)


def is_strange(path: Path, spec: DatasetSpec) -> bool:
    """Return whether an archive holds files, but none that a description mentions."""
    return _members(path) is not None and not holds(path, spec)


def _is_of(name: str, spec: DatasetSpec) -> bool:
    """Whether a description has a use for a file, or names it as one to leave out."""
    patterns = _needed(spec) + [one.pattern for one in spec.tables] + [one.pattern for one in spec.rows]
    patterns += [text for text in spec.archives if _is_specific(text)]
    patterns += [text for text in spec.leave_out if '/' in text and not text.startswith('.git/')]
    return any(compiled(text).match(name) for text in patterns)


def _needed(spec: DatasetSpec) -> list[str]:
    """Patterns of frames and annotations."""
    found = [spec.frames.pattern, *(getattr(word, 'pattern', '') for word in spec.annotations)]
    return [text for text in found if text]


def _are_complete(archives: list[Path], spec: DatasetSpec) -> bool:
    """Whether archives that could be anybody's hold both frames and every kind of annotation."""
    names = [name for path in archives for name in _members(path) or ()]
    return all(any(compiled(text).match(name) for name in names) for text in _needed(spec))


def _members(path: Path) -> list[str] | None:
    """Names of the members of a zip archive, as they lie once it is unpacked; None for other archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [f'{path.name.rsplit(".", 1)[0]}/{name}' for name in archive.namelist()]
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def _is_named(name: str, spec: DatasetSpec) -> bool:
    """Whether a pattern that says more than an ending names an archive."""
    return any(_is_specific(text) and compiled(text).match(name) for text in spec.archives)


def _is_specific(pattern: str) -> bool:
    """Whether a pattern says more than wildcards and an ending."""
    name = re.sub(r'\{[^{}]*\}', '', pattern).rpartition('.')[0] or pattern
    return bool(name.strip('*/'))


def _is_called_so(name: str, spec: DatasetSpec) -> bool:
    return any(compiled(text).match(name) for text in spec.archives)


def _stem(name: str) -> str:
    return name.split('.')[0]


def _files_below(folder: Path) -> Iterator[str]:
    seen = 0
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(parent, name).relative_to(folder.parent).as_posix()
            seen += 1
            if seen >= _MOST_FILES:
                return
