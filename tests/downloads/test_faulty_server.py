"""Trials against a server that fails in eight ways: no wrong file is accepted, and what can go on goes on.

Each trial is two calls. In the first the server has one fault, then is down; in the second it is well again. After the
first no file may be there under its name; after the second it must be the right one, and where good bytes were kept the
server must have been asked for the rest only.
"""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.downloads.server import Behaviour, FileServer, serving
from ultrasam.downloads.download import Download
from ultrasam.downloads.fetch import fetch_file
from ultrasam.downloads.integrity import DownloadError
from ultrasam.downloads.transfer import Patience

HASTE = Patience(attempts=2, first_wait_s=0.0, timeout_s=0.1)
SIZE = 60_000
KINDS = ('drops', 'truncates', 'redirects', 'stalls', 'changes', 'swaps', 'wrong size', 'web page')
RESUMABLE = ('drops', 'stalls')
DOWN = [Behaviour(status=503)] * 3


def zipped(seed: bytes) -> bytes:
    """A zip archive of a size that does not depend on its content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr(zipfile.ZipInfo('image.png'), hashlib.shake_256(seed).digest(SIZE - 120))
    return file.getvalue()


BODY, OTHER = zipped(b'right'), zipped(b'other')
PLACES = (1, len(BODY) // 3, len(BODY) - 1)
PAGE = b'<!DOCTYPE html><html>quota exceeded</html>'


@dataclass(frozen=True)
class Trial:
    """A kind of fault, where in the file it occurs, and what is known about the file."""

    kind: str
    place: int
    known: str

    @property
    def download(self) -> Download:
        """What a description would say."""
        known = {
            'sha256': {'sha256': hashlib.sha256(BODY).hexdigest()},
            'md5 and size': {'md5': hashlib.md5(BODY).hexdigest(), 'size': len(BODY)},  # noqa: S324
            'a zip archive': {},
        }[self.known]
        return Download(file='set.zip', urls=('https://data.invalid/set.zip',), **known)

    def faults(self, end: threading.Event) -> list[Behaviour]:
        """What the server does in the first call."""
        shorter = self.place % 2
        return {
            'drops': [Behaviour(cut_after=self.place)],
            'truncates': [Behaviour(serves='cut')],
            'redirects': [
                Behaviour(redirect=('/page', '/set.zip', 'ftp://data.invalid/set.zip')[self.place % 3])
            ]
            * 12,
            'stalls': [Behaviour(cut_after=self.place, wait_for=end)],
            'changes': [Behaviour(serves='other', cut_after=self.place)],
            'swaps': [Behaviour(serves='other' if shorter else 'cut')],
            'wrong size': [
                Behaviour(says_length=len(BODY) - self.place if shorter else len(BODY) + self.place)
            ],
            'web page': [
                Behaviour(serves='page', content_type='text/html' if shorter else 'application/zip')
            ],
        }[self.kind]


TRIALS = [
    Trial(kind, place, known)
    for kind in KINDS
    for place in PLACES
    for known in ('sha256', 'md5 and size', 'a zip archive')
    # another file that is whole in itself can only be told by a digest or a size
    if not (kind == 'swaps' and known == 'a zip archive' and place % 2)
]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        yield server


def attempt(trial: Trial, server: FileServer, folder: Path) -> bool:
    """Run a trial; tells whether it went on where it had stopped."""
    one = trial.download
    target = folder / one.file
    end = threading.Event()

    def fetch() -> None:
        fetch_file(
            target, lambda: [f'{server.url}/{one.file}'], one.expected, patience=HASTE, show_progress=False
        )

    server.files = {'set.zip': BODY, 'other': OTHER, 'cut': BODY[: trial.place], 'page': PAGE}
    server.script, server.requests = [*trial.faults(end), *DOWN], []
    with pytest.raises(DownloadError):
        fetch()
    end.set()
    assert not target.exists(), 'nothing is published before it is whole and right'
    part = folder / f'{one.file}.part'
    kept = part.stat().st_size if part.exists() else 0
    server.script, server.requests = [Behaviour()], []
    fetch()
    assert target.read_bytes() == BODY
    assert {path.name for path in folder.iterdir()} <= {'set.zip', 'set.zip.sha256'}
    return kept > 0 and server.ranges[0] == f'bytes={kept}-'


@pytest.mark.parametrize('kind', KINDS)
def test_no_wrong_file_is_accepted(kind: str, server: FileServer, tmp_path: Path) -> None:
    resumed: Counter[bool] = Counter()
    for number, trial in enumerate(one for one in TRIALS if one.kind == kind):
        folder = tmp_path / str(number)
        resumed[attempt(trial, server, folder)] += 1
    if kind in RESUMABLE:
        assert resumed[False] == 0, f'{resumed[False]} of {resumed.total()} began anew'


def test_number_of_trials() -> None:
    assert len(TRIALS) >= 60
    assert {trial.kind for trial in TRIALS} == set(KINDS)
    assert len(KINDS) == 8
