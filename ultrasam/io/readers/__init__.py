"""Readers of the files that people have: images, DICOM, volumes and videos, each as a series of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ultrasam.io.readers.opening import (
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    INPUT_SUFFIXES,
    VIDEO_SUFFIXES,
    VOLUME_SUFFIXES,
    Kind,
    find_inputs,
    kind_of,
    open_frames,
)

if TYPE_CHECKING:
    from ultrasam.io.readers.isolated import IsolatedReader
    from ultrasam.io.readers.source import FrameSource

__all__ = [
    'DICOM_SUFFIXES',
    'IMAGE_SUFFIXES',
    'INPUT_SUFFIXES',
    'VIDEO_SUFFIXES',
    'VOLUME_SUFFIXES',
    'FrameSource',
    'IsolatedReader',
    'Kind',
    'find_inputs',
    'kind_of',
    'open_frames',
]


def __getattr__(name: str) -> Any:
    """Load what needs numpy and a pool of processes when it is asked for: a wrong path is told before."""
    if name == 'IsolatedReader':
        from ultrasam.io.readers.isolated import IsolatedReader

        return IsolatedReader
    if name == 'FrameSource':
        from ultrasam.io.readers.source import FrameSource

        return FrameSource
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
