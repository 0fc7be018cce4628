"""One table of measurements for all objects of a run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ultrasam.atomic import publish_file
from ultrasam.io.writers.files import Spool, path_text
from ultrasam.io.writers.formats import ResultFormat
from ultrasam.io.writers.measurements import Measurement, measure
from ultrasam.io.writers.names import ResultFile
from ultrasam.structures import Frame, Segmentation

COLUMNS = (
    'file',
    'frame',
    'object',
    'unit',
    'area',
    'longest_axis',
    'perpendicular_axis',
    'perimeter',
    'ellipse_major',
    'ellipse_minor',
    'ellipse_angle_deg',
    'ellipse_circumference',
    'centroid_x',
    'centroid_y',
    'box_x',
    'box_y',
    'box_width',
    'box_height',
    'predicted_iou',
)
CLASS_COLUMNS = ('class', 'class_probability')
# a ten-thousandth of a millimetre or of a pixel
_DECIMALS = 4


class TableFormat(ResultFormat):
    """``measurements.csv``: one row an object, numbered from 1 as in the mask files.

    Lengths are in the unit of the row, millimetres where the file tells its spacing and else pixels, the
    area in its square. Cells without a value, as the centroid of an empty mask, are empty. A model that tells
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
            sizes = _cells(measure(mask, frame.spacing_mm))
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


def _cells(sizes: Measurement) -> list[str | float]:
    """Unit and numbers, in the order of the columns."""
    numbers = (
        sizes.area,
        sizes.longest_axis,
        sizes.perpendicular_axis,
        sizes.perimeter,
        sizes.ellipse_major,
        sizes.ellipse_minor,
        sizes.ellipse_angle_deg,
        sizes.ellipse_circumference,
        *(sizes.centroid_xy or (None,) * 2),
        *(sizes.box_xywh or (None,) * 4),
    )
    return [sizes.unit, *('' if number is None else round(number, _DECIMALS) for number in numbers)]


def _class_cells(segmentation: Segmentation, index: int) -> list[str]:
    if segmentation.class_scores is None:
        return []
    found = segmentation.class_of(index)
    return ['', ''] if found is None else [found[0], f'{found[1]:.4f}']


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO(newline='')
    csv.writer(text, lineterminator='\n').writerow(cells)
    return text.getvalue()
