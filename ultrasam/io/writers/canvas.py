"""Drawing on an RGB picture with marks that stay legible on any background and at any size."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (20, 20, 20)
GREEN: Colour = (30, 200, 70)
RED: Colour = (225, 40, 40)


class Canvas:
    """An RGB picture, enlarged if small, on which marks are drawn in pixels of the original image.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3), uint8, gray or RGB.
        min_long_side: smaller images are enlarged by a whole factor to at
            least this long side, in pixels.
    """

    def __init__(self, image: np.ndarray, *, min_long_side: int = 800) -> None:
        image = np.ascontiguousarray(image)
        if image.ndim == 2 or image.shape[2] == 1:
            image = cv2.cvtColor(image.reshape(image.shape[:2]), cv2.COLOR_GRAY2RGB)
        self.zoom = max(1, -(-min_long_side // max(image.shape[:2])))
        size = (image.shape[1] * self.zoom, image.shape[0] * self.zoom)
        self.pixels = (
            image.copy() if self.zoom == 1 else cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        )
        self.line = max(2, round(max(size) / 600))
        self._chips: list[tuple[int, int, int, int]] = []

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def to_canvas(self, points: np.ndarray) -> np.ndarray:
        """Positions (..., 2) on the picture, int, of pixel centres xy of the image."""
        return np.round((np.asarray(points, np.float64) + 0.5) * self.zoom - 0.5).astype(int)

    def contours(self, mask: np.ndarray) -> list[np.ndarray]:
        """Outlines of a mask (H, W), on the picture."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not rows.size:
            return []
        top, left = rows[0], columns[0]
        part = np.ascontiguousarray(mask[top : rows[-1] + 1, left : columns[-1] + 1]).astype(np.uint8)
        part = cv2.copyMakeBorder(part, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        if self.zoom > 1:
            size = (part.shape[1] * self.zoom, part.shape[0] * self.zoom)
            # Blurred and thresholded again: smooth rather than stepped outlines.
            smooth = cv2.GaussianBlur(
                cv2.resize(part * 255, size, interpolation=cv2.INTER_LINEAR), (0, 0), self.zoom / 2
            )
            part = (smooth > 127).astype(np.uint8)
        found = cv2.findContours(part, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[-2]
        offset = np.array([left - 1, top - 1]) * self.zoom
        return [contour + offset for contour in found]

    def fill(self, contours: list[np.ndarray], colour: Colour, alpha: float) -> None:
        """Tint the inside of outlines; holes stay clear."""
        if not contours:
            return
        corners = np.concatenate(contours)[:, 0]
        (left, top), (right, bottom) = corners.min(0), corners.max(0) + 1
        left, top = max(left, 0), max(top, 0)
        part = self.pixels[top:bottom, left:right]
        inside = np.zeros(part.shape[:2], np.uint8)
        cv2.drawContours(inside, contours, -1, 1, cv2.FILLED, offset=(-int(left), -int(top)))
        tinted = cv2.addWeighted(part, 1 - alpha, np.full_like(part, colour), alpha, 0)
        cv2.copyTo(tinted, inside, part)

    def outline(self, contours: list[np.ndarray], colour: Colour, *, dashed: bool = False) -> None:
        """Draw outlines over a dark rim."""
        if dashed:
            contours = [dash for contour in contours for dash in _dashes(contour[:, 0], 5 * self.line)]
        for width, shade in ((2 * self.line + 1, BLACK), (self.line, colour)):
            cv2.polylines(self.pixels, contours, not dashed, shade, width, cv2.LINE_AA)

    def box(self, box_xyxy: np.ndarray, colour: Colour) -> None:
        """Draw a dashed box whose sides lie on pixel edges of the image."""
        x1, y1, x2, y2 = np.round(np.asarray(box_xyxy, np.float64) * self.zoom).astype(int)
        corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)])
        length = max(3 * self.line, 2)
        dashes = [dash for start, end in pairwise(corners) for dash in _line(start, end, length)]
        for width, shade in ((2 * self.line + 1, BLACK), (self.line, colour)):
            cv2.polylines(self.pixels, dashes, False, shade, width, cv2.LINE_8)

    def click(self, point_xy: np.ndarray, *, positive: bool) -> None:
        """Draw a click: a green disc with a plus on the object, a red one with a minus off it."""
        x, y = map(int, self.to_canvas(point_xy))
        radius = 4 * self.line + 1
        arm = radius - self.line - 1
        cv2.circle(self.pixels, (x, y), radius + self.line, BLACK, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(self.pixels, (x, y), radius + max(self.line // 2, 1), WHITE, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(
            self.pixels, (x, y), radius - self.line // 2, GREEN if positive else RED, cv2.FILLED, cv2.LINE_AA
        )
        cv2.line(self.pixels, (x - arm, y), (x + arm, y), WHITE, self.line)
        if positive:
            cv2.line(self.pixels, (x, y - arm), (x, y + arm), WHITE, self.line)

    def chip(self, text: str, near_xy: np.ndarray, colour: Colour, *, small: bool = False) -> None:
        """Write on a coloured chip at the top left of ``near_xy``, moved if it would cover another chip."""
        scale = self.text_scale * (0.75 if small else 1.0)
        width, height = text_size(text, scale)
        pad = self.line + 2
        width, height = width + 2 * pad, height + 2 * pad
        x, y = self.to_canvas(near_xy)
        left = int(np.clip(x, 0, max(self.size_wh[0] - width, 0)))
        top = self._free_row(left, int(y) - height, width, height)
        self._chips.append((left, top, width, height))
        cv2.rectangle(self.pixels, (left, top), (left + width - 1, top + height - 1), colour, cv2.FILLED)
        write(self.pixels, text, (left + pad, top + height - pad - 1), readable_on(colour), scale)

    @property
    def text_scale(self) -> float:
        """Font scale for this picture."""
        return 0.5 * max(1.0, max(self.size_wh) / 900)

    def _free_row(self, left: int, top: int, width: int, height: int) -> int:
        """The row nearest to ``top`` at which a chip covers no other one."""
        limit = max(self.size_wh[1] - height, 0)
        steps = [sign * step for step in range(limit // height + 1) for sign in (1, -1)]
        for candidate in (int(np.clip(top + step * height, 0, limit)) for step in steps):
            if not any(
                left < x + w and x < left + width and candidate < y + h and y < candidate + height
                for x, y, w, h in self._chips
            ):
                return candidate
        return int(np.clip(top, 0, limit))


def readable_on(colour: Colour) -> Colour:
    """Black or white, whichever stands out on ``colour`` (luma of ITU-R BT.601)."""
    return BLACK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 130 else WHITE


def text_size(text: str, scale: float) -> tuple[int, int]:
    """Width and height of a line of text, in pixels."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, max(1, round(1.6 * scale)))
    return width, height


def write(pixels: np.ndarray, text: str, baseline_xy: tuple[int, int], colour: Colour, scale: float) -> None:
    """Write a line of text; ``baseline_xy`` is its bottom left."""
    cv2.putText(
        pixels,
        text,
        baseline_xy,
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        colour,
        max(1, round(1.6 * scale)),
        cv2.LINE_AA,
    )


def _dashes(path: np.ndarray, length: int) -> list[np.ndarray]:
    """Every second stretch of about ``length`` pixels of a closed path (P, 2)."""
    closed = np.concatenate([path, path[:1]])
    return [closed[i : i + length + 1].reshape(-1, 1, 2) for i in range(0, len(path), 2 * length)]


def _line(start: np.ndarray, end: np.ndarray, length: int) -> list[np.ndarray]:
    """Dashes of a straight line, the first and the last at its ends so that corners are closed."""
    distance = float(np.abs(end - start).max())
    count = max(int(distance / length) // 2 * 2 + 1, 1)
    stops = np.round(np.linspace(start, end, count + 1)).astype(np.int32)
    return [stops[i : i + 2].reshape(-1, 1, 2) for i in range(0, count, 2)]
