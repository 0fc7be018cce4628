"""Outlines: JSON files of points, LabelMe, traced rows of a table, the VGG Image Annotator."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.frames import Structure
from ultrasam.corpus.labels import Labelled
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import Annotation
from ultrasam.corpus.tables import Row
from ultrasam.corpus.words import PolygonFiles, TracedRows, ViaRegions
from ultrasam.masks.segmentation import decode_segmentation, is_empty_segmentation, segmentation_fault

# far beyond any image, yet small enough for the arithmetic of the rasteriser
_FARTHEST_PX = 30_000
_CIRCLE_CORNERS = 90


def polygon_mask(points_xy_px: Any, size_hw: tuple[int, int], name: str) -> np.ndarray:
    """Rasterise a closed polygon, its outline included; what lies outside the image is cut off.

    Args:
        points_xy_px: (N, 2), x and y in pixels; each is rounded to the nearest pixel.
        size_hw: of the image.
        name: of the file, for messages.

    Returns:
        (H, W), bool.

    Raises:
        RawFileError: fewer than three points, or points that are not finite or far outside.

    Example:
        >>> polygon_mask([(1, 1), (3, 1), (3, 2), (1, 2)], (4, 5), 'a.json').astype(int)
        array([[0, 0, 0, 0, 0],
               [0, 1, 1, 1, 0],
               [0, 1, 1, 1, 0],
               [0, 0, 0, 0, 0]])
    """
    import cv2

    try:
        points = np.asarray(points_xy_px, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RawFileError(f'{name}: a polygon whose points are no pairs of numbers') from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise RawFileError(
            f'{name}: a polygon of shape {points.shape} where at least three points are needed'
        )
    if not np.isfinite(points).all() or np.abs(points).max() > _FARTHEST_PX:
        raise RawFileError(f'{name}: a polygon with points that are not finite or far outside its image')
    mask = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(mask, [np.floor(points + 0.5).astype(np.int32)], 1)
    return mask.astype(bool)


def coco_polygon_mask(flat: Any, size_hw: tuple[int, int], name: str) -> np.ndarray:
    """Rasterise a polygon as COCO's own tools do, its corners between pixels; what lies outside the image is cut off.

    Args:
        flat: x and y in turn, in pixels from the corner of the image.
        size_hw: Height and width of the image.
        name: Name of the file, for messages.

    Returns:
        Mask (H, W), bool.

    Raises:
        RawFileError: Not a flat list of at least three finite points near the image.

    Example:
        >>> coco_polygon_mask([1, 1, 3, 1, 3, 2, 1, 2], (4, 5), 'a.json').astype(int)
        array([[0, 0, 0, 0, 0],
               [0, 1, 1, 0, 0],
               [0, 0, 0, 0, 0],
               [0, 0, 0, 0, 0]])
    """
    segmentation = [flat]
    fault = segmentation_fault(segmentation, *size_hw)
    if fault or is_empty_segmentation(segmentation):
        raise RawFileError(f'{name}: a polygon that cannot be used ({fault or "without points"})')
    return decode_segmentation(segmentation, *size_hw).astype(bool)


class PolygonShapes(Annotation):
    """Polygons of JSON files; each is a structure of its own."""

    def __init__(self, word: PolygonFiles, files: tuple[SourceFile, ...], item: Item) -> None:
        self._word = word
        self._files = files
        self._groups = item.groups

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures in the order of the files."""
        structures: list[Structure] = []
        for file in self._files:
            content = self._content(file)
            groups = {**file.groups, **self._groups}
            if self._word.form == 'points':
                category = fill(self._word.category, groups)
                structures.append(Structure(category, polygon_mask(content, size_hw, file.name)))
            else:
                structures += self._labelme(content, size_hw, file.name)
        return structures, Counter()

    def _content(self, file: SourceFile) -> Any:
        data = file.path.read_bytes()
        for encoding in self._word.encodings:
            try:
                return json.loads(data.decode(encoding))
            except UnicodeDecodeError:
                continue
            except (ValueError, RecursionError) as error:
                raise RawFileError(f'{file.name}: no JSON, or cut short ({error})') from error
        raise RawFileError(f'{file.name}: its text is in none of {self._word.encodings}')

    def _labelme(self, content: Any, size_hw: tuple[int, int], name: str) -> list[Structure]:
        structures = []
        try:
            shapes = [
                (str(shape['label']), shape['shape_type'], shape['points']) for shape in content['shapes']
            ]
        except (KeyError, TypeError) as error:
            raise RawFileError(f'{name}: no LabelMe file, {error} is missing') from error
        for label, kind, points in shapes:
            if kind != 'polygon' or label not in self._word.names:
                raise RawFileError(f'{name}: a {kind} of label {label!r}, which is not described')
            try:
                flat = [value for x, y in points for value in (x, y)]
            except (TypeError, ValueError) as error:
                raise RawFileError(f'{name}: a polygon whose points are not pairs of numbers') from error
            structures.append(Structure(self._word.names[label], coco_polygon_mask(flat, size_hw, name)))
        return structures


class TracedOutlines(Annotation):
    """Outlines whose points, or chords, are rows of a table."""

    def __init__(self, word: TracedRows, item: Item) -> None:
        self._word = word
        self._item = item
        self._name = item.frames.name
        self._of_frame: defaultdict[int, list[Row]] = defaultdict(list)
        for row in item.rows[word.rows]:
            text = str(_cell(row, word.frame, self._name)).strip()
            if text in word.untraced:
                continue
            number = _number(text, self._name) - word.first_frame
            if number != int(number) or number < 0:
                raise RawFileError(f'{self._name}: a tracing of frame {text}, which there is not')
            self._of_frame[int(number)].append(row)

    def numbers(self) -> set[int]:
        """Frames that are traced."""
        return set(self._of_frame)

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """The one structure of a frame."""
        rows = self._of_frame.get(number, [])
        if not rows:
            return [], Counter()
        if self._word.points is not None:
            outline = self._columns(rows, *self._word.points)
        elif self._word.chords is not None:
            x1, y1, x2, y2 = self._word.chords
            # the first row is the long axis; the others run across, from one wall to the other
            outline = self._columns(rows[1:], x1, y1) + self._columns(rows[1:], x2, y2)[::-1]
        else:
            raise RawFileError(f'{self._name}: neither points nor chords are described')
        category = fill(self._word.category, self._item.groups)
        return [Structure(category, polygon_mask(outline, size_hw, self._name))], Counter()

    def _columns(self, rows: Sequence[Row], x: str, y: str) -> list[tuple[float, float]]:
        return [
            (_number(_cell(row, x, self._name), self._name), _number(_cell(row, y, self._name), self._name))
            for row in rows
        ]


class ViaShapes(Annotation):
    """Regions of the VGG Image Annotator."""

    def __init__(self, word: ViaRegions, item: Item) -> None:
        self._word = word
        self._rows = item.rows[word.rows]
        self._name = item.frames.name

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """One structure a region."""
        structures = []
        for row in self._rows:
            try:
                shape = json.loads(row['region_shape_attributes'])
                label = str(json.loads(row['region_attributes']).get(self._word.attribute, ''))
            except (KeyError, ValueError, AttributeError) as error:
                raise RawFileError(f'{self._name}: a row that is no VIA region ({error})') from error
            # an image without regions has a row without shape
            if not shape or label in self._word.ignored:
                continue
            if label not in self._word.names:
                raise RawFileError(f'{self._name}: a region of label {label!r}, which is not described')
            mask = polygon_mask(_via_points(shape, self._name), size_hw, self._name)
            structures.append(Structure(self._word.names[label], mask))
        return (_merged(structures) if self._word.merge else structures), Counter()


def _merged(structures: list[Structure]) -> list[Structure]:
    masks: dict[str, np.ndarray] = {}
    for one in structures:
        masks[one.category] = masks[one.category] | one.mask if one.category in masks else one.mask
    return [Structure(category, mask) for category, mask in masks.items()]


def _via_points(shape: dict[str, Any], name: str) -> list[tuple[float, float]]:
    kind = shape.get('name')
    try:
        if kind in ('polygon', 'polyline'):
            return list(zip(shape['all_points_x'], shape['all_points_y'], strict=True))
        if kind == 'rect':
            x, y, right, bottom = shape['x'], shape['y'], shape['width'], shape['height']
            return [(x, y), (x + right, y), (x + right, y + bottom), (x, y + bottom)]
        if kind in ('circle', 'ellipse'):
            angles = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
            radius_x, radius_y = shape.get('rx', shape.get('r')), shape.get('ry', shape.get('r'))
            xs, ys = shape['cx'] + radius_x * np.cos(angles), shape['cy'] + radius_y * np.sin(angles)
            turn = float(shape.get('theta', 0))
            dx, dy = xs - shape['cx'], ys - shape['cy']
            xs = shape['cx'] + dx * np.cos(turn) - dy * np.sin(turn)
            ys = shape['cy'] + dx * np.sin(turn) + dy * np.cos(turn)
            return list(zip(xs.tolist(), ys.tolist(), strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise RawFileError(f'{name}: a damaged {kind} ({error})') from error
    raise RawFileError(f'{name}: a region of shape {kind!r}, which encloses nothing')


def _cell(row: Row, column: str, name: str) -> Any:
    """Return a cell of a row.

    Raises:
        RawFileError: The table has no such column.
    """
    if column not in row:
        columns = ', '.join(map(str, row))
        raise RawFileError(
            f'{name}: its table has no column {column!r} (columns: {columns}). Is this the release that is described?'
        )
    return row[column]


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise RawFileError(f'{name}: {value!r} where a number is described') from error
