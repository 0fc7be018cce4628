"""Contact sheets: many frames on one page, with the outlines of their masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ultrasam.io.sheets import GAP, draw_outlines, tile_sheet
from ultrasam.simulation.frame import CATEGORIES, SimulatedFrame

_COLOURS = (
    (80, 200, 255),
    (255, 170, 60),
    (255, 90, 110),
    (120, 235, 170),
    (190, 140, 255),
    (255, 80, 60),
    (250, 235, 90),
    (90, 160, 255),
    (255, 150, 220),
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
    colours = dict(zip(categories, _COLOURS, strict=False))
    tiles = (
        draw_outlines(frame.image, frame.masks, [colours[name] for name in frame.categories], tile - GAP)
        if outlines
        else frame.image
        for frame in frames
    )
    return tile_sheet(list(tiles), columns=columns, tile=tile)
