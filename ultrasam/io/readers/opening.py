"""Opens any input by what it holds."""

from __future__ import annotations

from pathlib import Path

from ultrasam.io.readers.dicom import DicomSource
from ultrasam.io.readers.image import ImageSource
from ultrasam.io.readers.kinds import kind_of
from ultrasam.io.readers.source import FrameSource
from ultrasam.io.readers.video import VideoSource
from ultrasam.io.readers.volume import VolumeSource
from ultrasam.masks.run_lengths import MOST_PIXELS

MAX_PIXELS = MOST_PIXELS


def open_frames(
    path: Path | str,
    *,
    axis: int | None = None,
    window: tuple[float, float] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> FrameSource:
    """Open a file as a series of frames, (H, W, 3), uint8, RGB.

    The kind is told by the content, whatever the name. How values become 8
    bits is stated in :mod:`ultrasam.io.readers.intensity`.

    Args:
        path: an image, a DICOM file, a volume or a video.
        axis: the array axis along which a volume is cut: 0 = z, 1 = y, 2 = x. Other kinds ignore it.
        window: lowest and highest gray value to show, as stored or, in DICOM, after rescaling; it stands
            above the window that a DICOM file states.
        max_pixels: the most pixels of a frame; a volume may have twenty times as many voxels. Images of
            more than 178,956,970 pixels are refused by Pillow in any case.

    Raises:
        InputError: the file is missing, damaged, too large or of an unknown format, it needs a package that is
            not installed, or an option does not fit it.

    Example:
        >>> with open_frames('cine.dcm') as frames:
        ...     for frame in frames:
        ...         print(frame.index, frame.size_hw, frame.spacing_mm)
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == 'image':
        return ImageSource(path, window=window, max_pixels=max_pixels)
    if kind == 'dicom':
        return DicomSource(path, window=window, max_pixels=max_pixels)
    if kind == 'volume':
        return VolumeSource(path, axis=axis, window=window, max_pixels=max_pixels)
    return VideoSource(path, window=window, max_pixels=max_pixels)
