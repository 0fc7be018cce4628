"""Opens files as usual, except those whose name says what is to go wrong in their second frame."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.io.readers.opening import kind_of
from ultrasam.io.readers.opening import open_frames as open_sound_frames
from ultrasam.io.readers.source import FrameSource
from ultrasam.structures.frames import Frame


class FaultySource(FrameSource):
    """Two frames, the second of which does not come."""

    kind = 'dicom'
    size_hw = (4, 6)

    def __len__(self) -> int:
        return 2

    def close(self) -> None:
        pass

    def _read(self, index: int) -> Frame:
        if index:
            FAULTS[self.path.stem]()
        return Frame(np.full((4, 6, 3), 7, np.uint8), self.path, index)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def hang() -> None:
    time.sleep(60)


def eat() -> None:
    np.empty(3_000_000_000, np.uint8)


def slip() -> None:
    raise KeyError('a fault of the reader')


def talk() -> None:
    os.write(1, b'a library that prints {"end": true}\n')
    print('and again')


FAULTS = {'crash': crash, 'leave': leave, 'hang': hang, 'eat': eat, 'slip': slip, 'talk': talk}


def open_frames(path: Path, **options: Any) -> FrameSource:
    return FaultySource(path) if path.stem in FAULTS else open_sound_frames(path, **options)


def open_without_itk(path: Path, **options: Any) -> FrameSource:
    """Open files as usual where SimpleITK is not installed; it is called in a process of its own."""
    if kind_of(path) != 'image':
        sys.modules['SimpleITK'] = None  # type: ignore[assignment]
    return open_sound_frames(path, **options)
