"""File names of COCO files: those that must not be opened."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ultrasam.errors import AnnotationError

_DRIVE = re.compile('[A-Za-z]:')


class UnsafeNameError(AnnotationError):
    """An annotation file with file names that lead out of the folder of its images."""


def name_fault(name: object) -> str:
    """Why a file name of a COCO file must not be opened, or nothing.

    Example:
        >>> name_fault('../secret.png')
        'leaves the folder of its images'
    """
    if not isinstance(name, str) or not name:
        return 'is no text'
    if fault := unsafe_name_fault(name):
        return fault
    path = PurePosixPath(name)
    if not path.parts:
        return 'is no file'
    # ./a.png and a.png are one file: they would be two images of one content
    return '' if path.as_posix() == name else 'is not written plainly'


def unsafe_name_fault(name: str) -> str:
    """Why a file name could reach a file outside the folder of the images, or nothing."""
    if any(ord(letter) < 32 for letter in name) or '\\' in name or _DRIVE.match(name):
        return 'has a control character, a backslash or a drive in it'
    path = PurePosixPath(name)
    return 'leaves the folder of its images' if path.is_absolute() or '..' in path.parts else ''
