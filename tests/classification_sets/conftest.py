"""Workers of these tests are forked from a process that has loaded all that any of them needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ultrasam.corpus import engine


@pytest.fixture(autouse=True, scope='session')
def quick_workers() -> Iterator[None]:
    """Load libraries once for the session."""
    more = ['pytest', 'cv2', 'scipy.io', 'defusedxml.ElementTree']
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, 'PRELOADED', [*engine.PRELOADED, *more])
        yield
