"""Contact sheets: many frames on one page, with the outlines of their masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ultrasam.io.sheets import GAP, fit_tile, tile_sheet
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
    frames: Sequence[SimulatedFrame],
    *,
    columns: int = 5,
    tile: int = 256,
    outlines: bool = True,
    categories: Sequence[str] = CATEGORIES,
) -> np.ndarray:
    """Lay frames out in rows.

    Args:
        frames: At least one frame.
        columns: Tiles a row.
        tile: Side of a tile in pixels; frames are shrunk or grown to fit.
        outlines: Whether to draw the edge of each mask in the colour of its category.
        categories: What structures of the frames may be called.

    Returns:
        ``(rows * tile, columns * tile, 3)`` RGB, uint8.
    """
    colours = dict(zip(categories, _COLOURS, strict=False)) if outlines else None
    return tile_sheet([_tile_picture(frame, tile, colours) for frame in frames], columns=columns, tile=tile)


def _tile_picture(frame: SimulatedFrame, side: int, colours: dict[str, np.ndarray] | None) -> np.ndarray:
    """One frame at the size of its tile, RGB."""
    picture = fit_tile(frame.image, side - GAP)
    size = (picture.shape[1], picture.shape[0])
    if colours is None:
        return picture
    for mask, category in zip(frame.masks, frame.categories, strict=True):
        small = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        edge = cv2.dilate(small, np.ones((3, 3), np.uint8)) > small
        picture[edge] = colours[category]
    return picture
