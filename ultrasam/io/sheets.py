"""Contact sheets: many pictures on one page, with outlines of masks and a line of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

# pixels between pictures
GAP = 4
COLOURS = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (213, 94, 0), (204, 121, 167), (240, 228, 66))
"""Colours that most people can tell apart (Okabe and Ito 2008), RGB."""
_CAPTION_PX = 14
_LETTER_PX = 6
_JPEG_QUALITY = 88


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


def draw_outlines(
    picture: np.ndarray, masks: Iterable[np.ndarray], colours: Iterable[tuple[int, int, int]], side: int
) -> np.ndarray:
    """Return a picture at the size of a tile with the outer edge of each mask.

    Args:
        picture: (H, W) or (H, W, 3), uint8, RGB.
        masks: Masks (H, W), not zero inside.
        colours: RGB of each.
        side: Longer side of the result in pixels.
    """
    tile = fit_tile(picture, side)
    size = (tile.shape[1], tile.shape[0])
    for mask, colour in zip(masks, colours, strict=False):
        inside = (np.asarray(mask) != 0).astype(np.uint8)
        # an object of a few pixels must not vanish with the size
        small = (cv2.resize(inside * 255, size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
        edge = cv2.dilate(small, np.ones((3, 3), np.uint8)) > small
        tile[edge] = colour
    return tile


def write_caption(tile: np.ndarray, text: str) -> np.ndarray:
    """Return a picture (H, W, 3) with a line of text below it, cut at its width from the left."""
    letters = max(1, tile.shape[1] // _LETTER_PX)
    shown = text.encode('ascii', 'replace').decode()
    shown = shown if len(shown) <= letters else f'..{shown[2 - letters :]}'
    strip = np.zeros((_CAPTION_PX, tile.shape[1], 3), np.uint8)
    place, font = (1, _CAPTION_PX - 4), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, shown, place, font, 0.33, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([tile, strip])


def write_sheets(
    folder: Path, name: str, tiles: Iterable[np.ndarray], *, columns: int = 6, rows: int = 8, tile: int = 240
) -> list[Path]:
    """Write pictures as pages ``NAME_001.jpg`` and so on, a page at a time in memory.

    Args:
        folder: Folder to write to.
        name: How the files begin.
        tiles: Pictures (H, W, 3), uint8, RGB.
        columns: Tiles a row.
        rows: Rows a page.
        tile: Side of a tile in pixels.

    Returns:
        The files, in order.
    """
    paths: list[Path] = []
    left = iter(tiles)
    while page := list(islice(left, columns * rows)):
        paths.append(folder / f'{name}_{len(paths) + 1:03d}.jpg')
        sheet = tile_sheet(page, columns=min(columns, len(page)), tile=tile)
        paths[-1].write_bytes(jpeg_bytes(sheet))
    return paths


def jpeg_bytes(picture: np.ndarray) -> bytes:
    """Return a picture (H, W, 3), uint8, RGB, as JPEG."""
    # full colour resolution, for lines of one pixel
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, *sampling]
    _, code = cv2.imencode('.jpg', picture[..., ::-1], options)
    return code.tobytes()
