"""Workers of these tests are forked from a process that has loaded all that any of them needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ultrasam.corpus import engine


@pytest.fixture(autouse=True, scope='session')
def quick_workers() -> Iterator[None]:
    """Load large libraries once for the session; those that are missing are passed over."""
    more = [
        'pytest',
        'cv2',
        'h5py',
        'SimpleITK',
        'ultrasam.corpus.readers.polygons',
        'ultrasam.corpus.readers.hdf5',
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, 'PRELOADED', [*engine.PRELOADED, *more])
        yield
