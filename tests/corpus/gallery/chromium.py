"""Pages opened from disk in a browser without a window."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

BROWSER = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
needs_browser = pytest.mark.skipif(BROWSER is None, reason='no Chromium to open the page in')
# sound and shared memory are of no use here; a container has little of either
_OPTIONS = (
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--hide-scrollbars',
    '--virtual-time-budget=5000',
)
_SECONDS = 120


def dump(page: Path, state: str = '') -> str:
    """The document as it stands once all scripts have run."""
    return _run(page, state, '--dump-dom')


def screenshot(page: Path, target: Path, state: str = '', *, size_wh: tuple[int, int] = (1280, 900)) -> None:
    """Write a picture of the page."""
    _run(page, state, f'--window-size={size_wh[0]},{size_wh[1]}', f'--screenshot={target}')


def text_of(document: str, element: str) -> str:
    """The text of the element of this id."""
    found = re.search(rf'id="{element}"[^>]*>(.*?)</', document, re.DOTALL)
    assert found is not None, f'no element {element}'
    return html.unescape(re.sub('<[^>]*>', '', found[1]))


def tiles_of(document: str) -> list[str]:
    """File names of the tiles, in order."""
    return [html.unescape(name) for name in re.findall('<span class="name">(.*?)</span>', document)]


def _run(page: Path, state: str, *options: str) -> str:
    assert BROWSER is not None
    with TemporaryDirectory(prefix='ultrasam-browser-', ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [BROWSER, *_OPTIONS, f'--user-data-dir={profile}', *options, f'{page.as_uri()}#{state}'],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
    return done.stdout.decode()
