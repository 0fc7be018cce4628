from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.downloads.server import FileServer
from tests.packaging.test_project_files import ROOT, load_by_path
from ultrasam.downloads.known_weights import KnownWeights

BODY = hashlib.shake_256(b'weights').digest(1_500_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope='session')
def table() -> ModuleType:
    """The description that ships."""
    return load_by_path(ROOT / 'weights' / 'known_weights.py')


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.delenv('ULTRASAM_WEIGHTS_MIRROR', raising=False)
    server = FileServer(files={'tiny.pth': BODY})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def entry() -> KnownWeights:
    """An entry whose digest is known; tests fetch it through a mirror, which may be http."""
    return KnownWeights(
        name='tiny',
        file='tiny.pth',
        urls=('https://weights.invalid/tiny.pth',),
        page='https://weights.invalid/',
        size_mb=2,
        sha256=SHA256,
        sha256_source='made here',
        licence='CC0-1.0',
        citation='none',
        purpose='tests',
    )


@pytest.fixture
def unknown(entry: KnownWeights) -> KnownWeights:
    """The same without any digest."""
    return dataclasses.replace(entry, sha256=None, sha256_source='')


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / 'out'
