"""Small files of every format, made for one test each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

PATIENT = 'DOE^JANE'


def ramp(height: int = 12, width: int = 16) -> np.ndarray:
    """Gray values that differ at every pixel, (height, width), uint8."""
    return np.arange(height * width, dtype=np.uint8).reshape(height, width)


def colours(height: int = 12, width: int = 16) -> np.ndarray:
    """Colours that differ at every pixel and between channels, (height, width, 3), uint8."""
    gray = ramp(height, width)
    return np.stack([gray, 255 - gray, np.roll(gray, 5)], axis=-1)


def ellipse(
    size_hw: tuple[int, int], spacing_mm: tuple[float, float], axes_mm: tuple[float, float]
) -> np.ndarray:
    """A white ellipse with full (vertical, horizontal) axes in mm, in the middle, uint8."""
    rows, columns = np.indices(size_hw)
    y = (rows - (size_hw[0] - 1) / 2) * spacing_mm[0] / (axes_mm[0] / 2)
    x = (columns - (size_hw[1] - 1) / 2) * spacing_mm[1] / (axes_mm[1] / 2)
    return np.where(x * x + y * y <= 1, 255, 0).astype(np.uint8)


def extent_mm(image: np.ndarray, spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """Height and width in mm of what is bright."""
    rows, columns = np.nonzero(image[..., 0] > 127)
    return (np.ptp(rows) + 1) * spacing_mm[0], (np.ptp(columns) + 1) * spacing_mm[1]


def dicom_dataset(pixels: np.ndarray, photometric: str = 'MONOCHROME2', **attributes: Any) -> Any:
    """An ultrasound image or, of (F, H, W[, 3]), a multi-frame one, uncompressed."""
    pydicom = pytest.importorskip('pydicom', reason='needs the extra dicom')
    from pydicom import uid

    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = uid.UltrasoundImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid.generate_uid(
        entropy_srcs=['test']
    )
    dataset.PatientName = PATIENT
    is_colour = pixels.shape[-1] == 3 and pixels.ndim > 2
    frames = pixels.reshape(-1, *pixels.shape[-3 if is_colour else -2 :])
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel = 3 if is_colour else 1
    if is_colour:
        dataset.PlanarConfiguration = 0
    if len(frames) > 1:
        dataset.NumberOfFrames = len(frames)
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == 'i')
    dataset.PixelData = frames.tobytes() + b'\0' * (frames.nbytes % 2)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def save_dicom(path: Path, pixels: np.ndarray, photometric: str = 'MONOCHROME2', **attributes: Any) -> Path:
    """Write :func:`dicom_dataset` to a file."""
    dicom_dataset(pixels, photometric, **attributes).save_as(path, enforce_file_format=True)
    return path


def region(*, corners: tuple[int, int, int, int], delta_cm: tuple[float, float], **attributes: Any) -> Any:
    """A calibrated region; corners are x0, y0, x1, y1, and the deltas x, y."""
    pydicom = pytest.importorskip('pydicom', reason='needs the extra dicom')
    item = pydicom.Dataset()
    names = ('MinX0', 'MinY0', 'MaxX1', 'MaxY1')
    for name, corner in zip(names, corners, strict=True):
        setattr(item, f'RegionLocation{name}', corner)
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm
    item.RegionSpatialFormat = item.RegionDataType = 1
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
