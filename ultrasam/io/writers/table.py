"""One table of measurements for all objects of a run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ultrasam.atomic import publish_file
from ultrasam.io.writers.formats import ResultFormat, Spool, path_text
from ultrasam.io.writers.measurements import Measurement, measure
from ultrasam.io.writers.names import ResultFile
from ultrasam.structures import Frame, Segmentation

_LENGTHS = (
    'longest_axis',
    'perpendicular_axis',
    'perimeter',
    'ellipse_major',
    'ellipse_minor',
    'ellipse_circumference',
)
_PLACES = ('centroid_x', 'centroid_y', 'box_x', 'box_y', 'box_width', 'box_height')
COLUMNS = (
    'file',
    'frame',
    'object',
    'area_mm2',
    *(f'{name}_mm' for name in (*_LENGTHS, *_PLACES)),
    'ellipse_angle_deg',
    'area_px',
    *(f'{name}_px' for name in (*_LENGTHS, *_PLACES)),
    'predicted_iou',
)
CLASS_COLUMNS = ('class', 'class_probability')
# a ten-thousandth of a millimetre or of a pixel
_DECIMALS = 4


class TableFormat(ResultFormat):
    """``measurements.csv``: one row an object, numbered from 1 as in the mask files.

    Each column says its unit. Millimetres are empty where the file does not tell its spacing; pixels are always
    there. In pixels, a centroid can be given again as a click and a box, with its right edge at ``box_x_px +
    box_width_px``, as a box prompt. Cells without a value, as the centroid of an empty mask, are empty. The angle is
    that in millimetres where there are any. A model that tells
    classes adds two columns, the likeliest class and its probability.
    """

    run_file_name = 'measurements.csv'

    def __init__(self, out_dir: Path, *, overwrite: bool) -> None:
        super().__init__(out_dir, overwrite=overwrite)
        self._rows = Spool(out_dir)
        self._columns: tuple[str, ...] = COLUMNS

    def write(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """Measure the masks, and keep their rows."""
        for index, (mask, score) in enumerate(zip(segmentation.masks, segmentation.scores, strict=True)):
            sizes = _cells(mask, frame.spacing_mm)
            place = (path_text(frame.source), frame.index, index + 1)
            self._rows.add(_line([*place, *sizes, f'{score:.4f}', *_class_cells(segmentation, index)]))
        if segmentation.class_names:
            self._columns = COLUMNS + CLASS_COLUMNS

    def close(self) -> None:
        """Publish ``measurements.csv``."""
        with (
            publish_file(self.run_file, overwrite=self.overwrite) as path,
            path.open('w', encoding='utf-8', newline='') as file,
        ):
            file.write(_line(self._columns))
            self._rows.copy_to(file)
        self.discard()

    def discard(self) -> None:
        """Forget the rows."""
        self._rows.close()


def _cells(mask: np.ndarray, spacing_mm: tuple[float, float] | None) -> list[str | float]:
    """Return the numbers of a mask, in the order of the columns."""
    pixels = measure(mask, None)
    if spacing_mm is None:
        sizes = pixels
        millimetres: list[str | float] = ['' for _ in (0, *_LENGTHS, *_PLACES)]
    else:
        sizes = measure(mask, spacing_mm)
        millimetres = _numbers(sizes)
    return [*millimetres, _rounded(sizes.ellipse_angle_deg), *_numbers(pixels)]


def _numbers(sizes: Measurement) -> list[str | float]:
    """Return area, lengths and places."""
    lengths = (getattr(sizes, name) for name in _LENGTHS)
    places = (*(sizes.centroid_xy or (None,) * 2), *(sizes.box_xywh or (None,) * 4))
    return [_rounded(number) for number in (sizes.area, *lengths, *places)]


def _rounded(number: float | None) -> str | float:
    return '' if number is None else round(number, _DECIMALS)


def _class_cells(segmentation: Segmentation, index: int) -> list[str]:
    if segmentation.class_scores is None:
        return []
    found = segmentation.class_of(index)
    return ['', ''] if found is None else [found[0], f'{found[1]:.4f}']


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO(newline='')
    csv.writer(text, lineterminator='\n').writerow(cells)
    return text.getvalue()
