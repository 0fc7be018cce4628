"""What a DICOM header tells about pixels: their spacing, and how values become gray.

Headers are datasets of pydicom; nothing here imports it, so that these rules
can be read, and tested, by themselves.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

_logger = logging.getLogger(__name__)

# DICOM PS3.3, C.8.5.5 (US Region Calibration): 2D images, and centimetres.
_REGION_IS_2D = 1
_UNIT_CM = 3
_MM_PER_CM = 10.0


def is_resized(header: Any, path: Path) -> bool:
    """Return True, with a warning, if a calibrated region leaves the frame: its millimetres are of another frame.

    Such a file was cut or made smaller and kept its header; nothing tells by how much.

    Args:
        header: Dataset of pydicom.
        path: The file, for the warning.
    """
    height, width = int(header.Rows), int(header.Columns)
    for item in filter(_region, header.get('SequenceOfUltrasoundRegions') or []):
        left, top, right, bottom = corners = _corners(item)
        # some devices count the last column and row, some the ones behind them
        if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
            _logger.warning(
                '%s: its ultrasound region (x %d to %d, y %d to %d) does not fit its frame of %d x %d pixels, '
                'so it was cut or resized: no millimetres, sizes are in pixels',
                path, corners[0], corners[2], corners[1], corners[3], width, height,
            )  # fmt: skip
            return True
    return False


def region_spacing_mm(header: Any, path: Path) -> tuple[float, float] | None:
    """Return millimetres between rows and between columns, from the calibrated regions of an ultrasound image.

    Of the regions that are 2-D images in centimetres (M-mode, spectra and
    traces are not) the largest counts; a warning is logged if others are
    scaled differently.

    Args:
        header: Dataset of pydicom.
        path: The file, for the warning.

    Returns:
        (row, column) spacing, or None if no region is calibrated.
    """
    regions = [found for found in map(_region, header.get('SequenceOfUltrasoundRegions') or []) if found]
    if not regions:
        return None
    _, largest = max(regions, key=lambda region: region[0])
    if any(not np.allclose(spacing, largest, rtol=1e-3) for _, spacing in regions):
        _logger.warning(
            '%s: regions of different scale; millimetres hold in the largest, %.4g x %.4g mm a pixel',
            path,
            *largest,
        )
    return largest


def detector_spacing_mm(header: Any, index: int) -> tuple[float, float] | None:
    """(row, column) spacing of a frame from PixelSpacing or else ImagerPixelSpacing, or None."""
    for sequence, keyword in (('PixelMeasuresSequence', 'PixelSpacing'), ('', 'ImagerPixelSpacing')):
        steps = attribute(header, index, sequence, keyword)
        if steps is not None and len(steps) == 2 and min(steps) > 0:
            return float(steps[0]), float(steps[1])
    return None


def voi_window(header: Any, index: int) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window that the header states for a frame, or None."""
    center = attribute(header, index, 'FrameVOILUTSequence', 'WindowCenter')
    width = attribute(header, index, 'FrameVOILUTSequence', 'WindowWidth')
    if center is None or width is None:
        return None
    function = str(attribute(header, index, 'FrameVOILUTSequence', 'VOILUTFunction') or 'LINEAR')
    narrowest = 1.0 if function == 'LINEAR' else np.finfo(np.float64).tiny
    return (_first(center), _first(width), function) if _first(width) >= narrowest else None


def rescaling(header: Any, index: int) -> tuple[float, float]:
    """Slope and intercept of a frame, 1 and 0 where the header states none."""
    slope = attribute(header, index, 'PixelValueTransformationSequence', 'RescaleSlope')
    intercept = attribute(header, index, 'PixelValueTransformationSequence', 'RescaleIntercept')
    return (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))


def attribute(header: Any, index: int, sequence: str, keyword: str) -> Any:
    """A value of a frame: of its own functional group, of the shared one, or of the file; None if nowhere."""
    own = list(header.get('PerFrameFunctionalGroupsSequence') or [])[index : index + 1]
    for group in own + list(header.get('SharedFunctionalGroupsSequence') or []):
        for item in group.get(sequence) or []:
            if item.get(keyword) is not None:
                return item.get(keyword)
    # An attribute that is present may still be empty.
    return header.get(keyword)


def _region(item: Any) -> tuple[int, tuple[float, float]] | None:
    """Pixels covered, and (row, column) spacing in mm, of a calibrated 2-D region."""
    units = item.get('PhysicalUnitsXDirection'), item.get('PhysicalUnitsYDirection')
    if item.get('RegionSpatialFormat', _REGION_IS_2D) != _REGION_IS_2D or units != (_UNIT_CM, _UNIT_CM):
        return None
    # Negative where an axis points the other way.
    column, row = (
        abs(float(item.get(key) or 0)) * _MM_PER_CM for key in ('PhysicalDeltaX', 'PhysicalDeltaY')
    )
    if not (np.isfinite((row, column)).all() and row > 0 and column > 0):
        return None
    x0, y0, x1, y1 = _corners(item)
    return max(x1 - x0, 0) * max(y1 - y0, 0), (row, column)


def _corners(item: Any) -> tuple[int, ...]:
    names = ('MinX0', 'MinY0', 'MaxX1', 'MaxY1')
    return tuple(int(item.get(f'RegionLocation{name}') or 0) for name in names)


def _first(value: Any) -> float:
    return float(value[0]) if hasattr(value, '__len__') and not isinstance(value, str) else float(value)
