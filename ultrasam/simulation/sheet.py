"""Contact sheets: many frames on one page, with the outlines of their masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ultrasam.simulation.frame import CATEGORIES, SimulatedFrame

_COLOURS = np.array(
    [
        (80, 200, 255),
        (255, 170, 60),
        (255, 90, 110),
        (120, 235, 170),
        (190, 140, 255),
        (255, 80, 60),
        (250, 235, 90),
        (90, 160, 255),
        (255, 150, 220),
    ],
    dtype=np.uint8,
)


def contact_sheet(
    frames: Sequence[SimulatedFrame], *, columns: int = 5, tile: int = 256, outlines: bool = True
) -> np.ndarray:
    """Lay frames out in rows.

    Args:
        frames: At least one frame.
        columns: Tiles a row.
        tile: Side of a tile in pixels; frames are shrunk or grown to fit.
        outlines: Whether to draw the edge of each mask in the colour of its category.

    Returns:
        ``(rows * tile, columns * tile, 3)`` RGB, uint8.
    """
    rows = -(-len(frames) // columns)
    sheet = np.zeros((rows * tile, columns * tile, 3), dtype=np.uint8)
    for number, frame in enumerate(frames):
        picture = _tile_picture(frame, tile - 4, outlines)
        height, width = picture.shape[:2]
        top = number // columns * tile + (tile - height) // 2
        left = number % columns * tile + (tile - width) // 2
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _tile_picture(frame: SimulatedFrame, side: int, outlines: bool) -> np.ndarray:
    """One frame at the size of its tile, RGB."""
    height, width = frame.image.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    picture = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    if not outlines:
        return picture
    for mask, category in zip(frame.masks, frame.categories, strict=True):
        small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        edge = cv2.dilate(small, np.ones((3, 3), np.uint8)) > small
        picture[edge] = _COLOURS[CATEGORIES.index(category)]
    return picture
