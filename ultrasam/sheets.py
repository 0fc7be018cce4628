"""Contact sheets: many pictures on one page."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

# pixels between pictures
GAP = 4


def fit_tile(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture, shrunk or grown so that its longer side is ``side`` pixels.

    Args:
        picture: (H, W) or (H, W, 3), uint8.
        side: longer side of the result in pixels.

    Returns:
        (h, w, 3), uint8; a gray picture has its three channels alike.
    """
    factor = side / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def tile_sheet(pictures: Sequence[np.ndarray], *, columns: int, tile: int) -> np.ndarray:
    """Lay pictures out in rows on black, each centred in its tile.

    Args:
        pictures: (H, W) or (H, W, 3), uint8, of any sizes.
        columns: tiles a row.
        tile: side of a tile in pixels.

    Returns:
        (rows * tile, columns * tile, 3), uint8.
    """
    rows = -(-len(pictures) // columns)
    sheet = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    for i, picture in enumerate(pictures):
        fitted = fit_tile(picture, tile - GAP)
        top = i // columns * tile + (tile - fitted.shape[0]) // 2
        left = i % columns * tile + (tile - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet
