"""Which checkpoint a run goes on from, when it is told to go on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ultrasam.checkpoints.digests import check_digest
from ultrasam.checkpoints.reader import load_checkpoint_file
from ultrasam.errors import CheckpointError

POINTER = 'last_checkpoint'
"""File in the folder of a run that names its last checkpoint."""

LAST = 'last.pth'
"""Name under which the newest checkpoint of a run can always be found."""

_PATTERNS = ('iter_*.pth', 'epoch_*.pth')
_LONGEST_POINTER = 4096


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """What was found.

    Attributes:
        path: The checkpoint to go on from; None if there is no whole one.
        rejected: In words, what was passed over on the way to it.
    """

    path: Path | None
    rejected: tuple[str, ...] = ()


def find_resume_point(folders: Sequence[str | os.PathLike[str]]) -> ResumePoint:
    """Find the last checkpoint of a run that is whole.

    The one that the run says was its last comes first; if it is missing, lies elsewhere or is damaged, the newest
    whole one takes its place. Whole is a file that has the sha256 recorded beside it, or, without a record, one that
    can be read to its end and says at which iteration it was saved.

    Args:
        folders: The folder of the run, which holds ``last_checkpoint``, then others that it saves to.
    """
    places = [Path(folder) for folder in folders]
    rejected: list[str] = []
    candidates = _pointed_at(places, rejected)
    named = {path for place in places for pattern in _PATTERNS for path in place.glob(pattern)}
    found = {path for path in named if path.exists() and _is_inside(path, places)}
    rejected += [
        f'{path}: a link to {path.resolve()}, which is no file of this run.' for path in named - found
    ]
    newest_first = sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    for path in dict.fromkeys([*candidates, *newest_first]):
        try:
            _check_whole(path)
        except CheckpointError as error:
            rejected.append(str(error))
        else:
            return ResumePoint(path=path, rejected=tuple(rejected))
    return ResumePoint(path=None, rejected=tuple(rejected))


def _pointed_at(places: list[Path], rejected: list[str]) -> list[Path]:
    pointer = places[0] / POINTER
    if not pointer.is_file():
        return []
    with open(pointer, 'rb') as file:
        text = file.read(_LONGEST_POINTER).decode('utf-8', 'replace').strip()
    if not text or '\0' in text:
        rejected.append(f'{pointer}: names no checkpoint.')
        return []
    # A run that was moved still finds its files by name.
    target = Path(text) if Path(text).exists() else places[0] / Path(text).name
    if not _is_inside(target, places):
        rejected.append(f'{pointer}: names {text}, which is no file of this run.')
        return []
    if not target.is_file():
        rejected.append(f'{pointer}: names {text}, which is missing.')
        return []
    return [target]


def _is_inside(path: Path, places: list[Path]) -> bool:
    """Whether a path, or what it is a link to, lies in one of the folders."""
    return any(path.resolve().parent == place.resolve() for place in places)


def _check_whole(path: Path) -> None:
    if check_digest(path) is not None:
        return
    meta = load_checkpoint_file(path).get('meta')
    if not isinstance(meta, dict) or not isinstance(meta.get('iter'), int):
        raise CheckpointError(f'{path}: holds weights, but no state to go on training from.')
