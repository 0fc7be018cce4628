"""Readers of the files that people have: images, DICOM, volumes and videos, each as a series of frames."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ultrasam.io.readers.kinds import (
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    INPUT_SUFFIXES,
    VIDEO_SUFFIXES,
    VOLUME_SUFFIXES,
    Kind,
    find_inputs,
    kind_of,
)

if TYPE_CHECKING:
    from ultrasam.io.readers.isolated import IsolatedReader
    from ultrasam.io.readers.opening import open_frames
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
_MODULES = {'IsolatedReader': 'isolated', 'open_frames': 'opening', 'FrameSource': 'source'}


def __getattr__(name: str) -> Any:
    """Load the decoders when they are asked for: a wrong path is told before."""
    if name in _MODULES:
        return getattr(import_module(f'{__name__}.{_MODULES[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
