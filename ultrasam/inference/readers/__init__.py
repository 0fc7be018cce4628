"""Readers of the files that people have: images, DICOM, volumes and videos, each as a series of frames."""

from ultrasam.inference.readers.isolated import IsolatedReader
from ultrasam.inference.readers.kinds import (
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    INPUT_SUFFIXES,
    VIDEO_SUFFIXES,
    VOLUME_SUFFIXES,
    Kind,
    find_inputs,
    kind_of,
)
from ultrasam.inference.readers.opening import open_frames
from ultrasam.inference.readers.source import FrameSource

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
