"""Which name the results of an input file get."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

# '.nii.gz' is one suffix; the number that ends a DICOM name such as '1.2.840.10008' is none
_SUFFIX = re.compile(r'(?<=.)(\.nii\.gz|\.[a-z][a-z0-9]{0,4})$', re.IGNORECASE)
NUMBERED = re.compile(r'_\d{4,}$')
_LEVELS = 3


@dataclass(frozen=True)
class ResultFile:
    """An input file, and the name of its results.

    Args:
        source: the input file.
        is_series: Whether results carry the number of their frame.
        name: of its results, without suffix; no other input file has the same.
    """

    source: Path
    is_series: bool
    name: str

    def frame_name(self, index: int) -> str:
        """Name of the results of frame ``index``, without suffix."""
        return f'{self.name}_{index:04d}' if self.is_series else self.name


class ResultNames:
    """Names the results of input files so that no two collide, also where capitals do not count.

    A file gets its stem. Files of one call that share a stem get ``<folder>-<stem>``, the name of their
    folder before it, and if that is shared too, ``<folder>-<stem>-<suffix>``. What still collides, with
    each other or with files of earlier calls, is numbered in the order given: ``...-2``, ``...-3``.
    """

    def __init__(self) -> None:
        self._files: dict[str, ResultFile] = {}
        self._names: set[str] = set()
        self._series: set[str] = set()
        self._numbered: set[str] = set()

    def __contains__(self, source: Path) -> bool:
        return os.path.abspath(source) in self._files

    def __getitem__(self, source: Path) -> ResultFile:
        return self._files[os.path.abspath(source)]

    def add(self, files: Mapping[Path, bool]) -> None:
        """Name files; those that have a name keep it.

        Args:
            files: Input files, and whether each may hold several frames.
        """
        new = {os.path.abspath(path): path for path in files}
        new = {key: path for key, path in new.items() if key not in self._files}
        levels = dict.fromkeys(new, 0)
        while crowded := _crowded(levels):
            for key in crowded:
                levels[key] += 1
        for key, path in new.items():
            name = self._free_name(key, levels[key], series=files[path])
            self._files[key] = ResultFile(path, files[path], name)

    def settle(self, source: Path, *, is_series: bool) -> None:
        """State whether a file holds several frames, now that it is open."""
        key = os.path.abspath(source)
        self._files[key] = replace(self._files[key], is_series=is_series)

    def _free_name(self, key: str, level: int, *, series: bool) -> str:
        """The first candidate that no other file has, now taken."""
        by_level = [_candidate(key, each) for each in range(level, _LEVELS)]
        for name in chain(by_level, (f'{by_level[-1]}-{number}' for number in count(2))):
            plain = _comparable(name)
            stripped = NUMBERED.sub('', plain)
            numbered = stripped != plain
            # a picture 'a_0001' would collide with frame 1 of a video 'a'
            collides = plain in self._numbered if series else numbered and stripped in self._series
            if plain not in self._names and not collides:
                break
        self._names.add(plain)
        if series:
            self._series.add(plain)
        elif numbered:
            self._numbered.add(stripped)
        return name


def _crowded(levels: Mapping[str, int]) -> list[str]:
    """Files whose names collide although they could be longer."""
    names = {key: _comparable(_candidate(key, level)) for key, level in levels.items()}
    counts = Counter(names.values())
    return [key for key, level in levels.items() if counts[names[key]] > 1 and level < _LEVELS - 1]


def _candidate(path: str, level: int) -> str:
    folder, name = os.path.split(path)
    found = _SUFFIX.search(name)
    stem = name[: found.start()] if found else name
    if level == 0:
        return stem
    longer = f'{os.path.basename(folder)}-{stem}'
    return longer if level == 1 else f'{longer}-{found.group().strip(".") if found else "file"}'


def _comparable(name: str) -> str:
    return unicodedata.normalize('NFC', name).casefold()
