"""A mask that is decoded around its object only, and drawn at the size that somebody asks for."""

from __future__ import annotations

import cv2
import numpy as np

from ultrasam.masks.foreground import centre_of_counts, nearest_foreground


class CroppedMask:
    """One mask: the pixels around its object, and where rows and columns of the current frame come from.

    Flips and nearest-neighbour resizes move whole rows and columns. They change the two maps here, and no pixel.

    Args:
        pixels: (h, w), uint8, 0 or 1, the object in the frame in which it was annotated.
        rows: (H,), int, row of ``pixels`` that each row of the current frame shows; outside of it: background.
        columns: (W,), int, the same for columns.
    """

    def __init__(self, pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        self.pixels = pixels
        self.rows = rows
        self.columns = columns

    @classmethod
    def of_mask(cls, mask: np.ndarray) -> CroppedMask:
        """Crop a mask (H, W) of any type, foreground where not zero."""
        flags = np.ascontiguousarray(mask if mask.dtype == bool else mask != 0)
        return cls(flags.view(np.uint8), *(np.arange(side) for side in mask.shape)).trimmed()

    @classmethod
    def of_runs(cls, runs: np.ndarray, height: int, width: int) -> CroppedMask:
        """Decode the run lengths (R,), int, of RLE: background first, down the columns from the left.

        Only columns with foreground are expanded.
        """
        filled = np.flatnonzero(runs[1::2]) * 2 + 1
        if not filled.size:
            return cls(np.zeros((0, 0), np.uint8), np.arange(height), np.arange(width))
        first, last = int(filled[0]), int(filled[-1])
        start = int(runs[:first].sum())
        end = start + int(runs[first : last + 1].sum())
        left, right = start // height, (end - 1) // height + 1
        lengths = np.array([start - left * height, *runs[first : last + 1], right * height - end])
        flat = np.repeat(np.arange(len(lengths), dtype=np.uint8) & 1, lengths)
        columns = flat.reshape(right - left, height)
        filled_rows = np.flatnonzero(columns.any(0))
        top = int(filled_rows[0])
        # OpenCV swaps the axes of bytes several times faster than numpy
        pixels = cv2.transpose(columns[:, top : filled_rows[-1] + 1])
        return cls(pixels, np.arange(height) - top, np.arange(width) - left)

    def trimmed(self) -> CroppedMask:
        """The same mask without rows and columns of background around its object."""
        rows, columns = (np.flatnonzero(self.pixels.any(axis)) for axis in (1, 0))
        if not rows.size:
            return CroppedMask(self.pixels[:0, :0], self.rows, self.columns)
        top, left = int(rows[0]), int(columns[0])
        return CroppedMask(
            np.ascontiguousarray(self.pixels[top : rows[-1] + 1, left : columns[-1] + 1]),
            self.rows - top,
            self.columns - left,
        )

    def taken(self, rows: np.ndarray | slice, columns: np.ndarray | slice) -> CroppedMask:
        """The frame of these rows and columns of the current one."""
        return CroppedMask(self.pixels, self.rows[rows], self.columns[columns])

    def drawn(self) -> np.ndarray:
        """The mask (H, W), uint8."""
        out = np.zeros((len(self.rows), len(self.columns)), np.uint8)
        shown = [np.flatnonzero(flags) for flags in self._shown()]
        if all(indices.size for indices in shown):
            part = self.pixels.take(self.columns[shown[1]], 1).take(self.rows[shown[0]], 0)
            # maps of flips and resizes are monotonic: what they show is one rectangle
            out[shown[0][0] : shown[0][-1] + 1, shown[1][0] : shown[1][-1] + 1] = part
        return out

    @property
    def has_foreground(self) -> bool:
        """Whether the current frame shows any pixel of the object."""
        rows, columns = (
            self._repeats(places, axis) > 0 for axis, places in enumerate((self.rows, self.columns))
        )
        return bool(self.pixels[rows][:, columns].any())

    def row_counts(self) -> np.ndarray:
        """Foreground pixels of each row, (H,), int64."""
        return _spread(self.rows, _product(self.pixels, self._repeats(self.columns, 1)))

    def column_counts(self) -> np.ndarray:
        """Foreground pixels of each column, (W,), int64."""
        return _spread(self.columns, _product(self.pixels.T, self._repeats(self.rows, 0)))

    def __getitem__(self, y: int) -> np.ndarray:
        """Row y, (W,), uint8."""
        source = int(self.rows[y])
        if not 0 <= source < len(self.pixels):
            return np.zeros(len(self.columns), np.uint8)
        return _spread(self.columns, self.pixels[source])

    def centre(self) -> np.ndarray:
        """Mean position (2,), float64, xy, of the foreground pixels, of which there must be one."""
        return centre_of_counts(self.column_counts(), self.row_counts())

    def nearest(self, point: np.ndarray) -> np.ndarray:
        """The point itself if its pixel is foreground, else the nearest foreground pixel, (2,), float64, xy."""
        x, y = np.floor(point + 0.5).astype(int)
        return point if self[y][x] else nearest_foreground(self.drawn(), point)

    def _shown(self) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.pixels.shape
        return (self.rows >= 0) & (self.rows < height), (self.columns >= 0) & (self.columns < width)

    def _repeats(self, places: np.ndarray, axis: int) -> np.ndarray:
        """How often the current frame shows each row or column of the pixels, int64."""
        size = self.pixels.shape[axis]
        return np.bincount(places[(places >= 0) & (places < size)], minlength=size)


def _product(pixels: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Sums (h,), int64, of pixels (h, w) that are repeated so often."""
    # a count stays far below 2**24, so that float32, for which there is a fast product, is exact
    return np.rint(pixels.astype(np.float32) @ repeats.astype(np.float32)).astype(np.int64)


def _spread(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at these places; 0 where a place is outside of them."""
    padded = np.append(values, values.dtype.type(0))
    size = len(values)
    return padded[np.where((places >= 0) & (places < size), places, size)]
