"""Small letters for marks on the frame, drawn as strokes so that no font library is needed."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

# Strokes as pairs of digits (x from 0 to 4, y from 0 to 6), one word a stroke.
_STROKES: dict[str, str] = {
    'A': '062046 1434',
    'B': '000636453433 0333 003041423303',
    'C': '4130100105163645',
    'D': '00063645413000',
    'E': '40000646 0333',
    'F': '400006 0333',
    'G': '41301001051636454323',
    'H': '0006 4046 0343',
    'I': '2026',
    'J': '4045361605',
    'K': '0006 400346',
    'L': '000646',
    'M': '0600234046',
    'N': '06004640',
    'O': '103041453616050110',
    'P': '06003041423303',
    'R': '06003041423303 2346',
    'S': '413010010213334445361605',
    'T': '0040 2026',
    'U': '000516364540',
    'V': '002640',
    'W': '0016233640',
    'X': '0046 4006',
    'Y': '002340 2326',
    'Z': '00400646',
    '0': '103041453616050110',
    '1': '112026 1636',
    '2': '01103041420646',
    '3': '01103041423313 334445361605',
    '4': '36300444',
    '5': '4000033344453606',
    '6': '4130100105163645443303',
    '7': '004016',
    '8': '103041423313020110 13040516364533',
    '9': '433302011030414536 3616',
    '.': '2526',
    ':': '2122 2425',
    '-': '1333',
    '/': '0640',
    '+': '2124 0343',
}
ALPHABET = ''.join(sorted(_STROKES))


def draw_text(
    image: np.ndarray, text: str, *, left: int, top: int, height: int, colour: tuple[int, ...]
) -> None:
    """Blend a line of text into an image in place; what lies outside is cut off.

    Args:
        image: ``(H, W, C)`` uint8.
        text: Characters of ``ALPHABET`` or blanks.
        left: Column of the first letter.
        top: Row of the upper edge of the letters.
        height: Height of the letters in pixels.
        colour: One value for each channel.
    """
    for number, character in enumerate(text):
        if character == ' ':
            continue
        stamp = _glyph(character, height)
        x, y = left + round(number * 0.92 * height), top
        rows = slice(max(y, 0), min(y + stamp.shape[0], image.shape[0]))
        columns = slice(max(x, 0), min(x + stamp.shape[1], image.shape[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        cover = stamp[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x, None]
        part = image[rows, columns]
        image[rows, columns] = np.floor(part + cover * (np.array(colour) - part) + 0.5).astype(np.uint8)


@lru_cache(maxsize=1024)
def _glyph(character: str, height: int) -> np.ndarray:
    """Coverage from 0 to 1 of a character, ``(height + 2, width)``."""
    unit = height / 6
    rows = (np.arange(height + 2) - 0.5)[:, None]
    columns = (np.arange(round(4 * unit) + 3) - 1.0)[None, :]
    nearest = np.full((rows.shape[0], columns.shape[1]), np.inf)
    for stroke in _STROKES[character].split():
        points = [(int(stroke[i]) * unit, int(stroke[i + 1]) * unit) for i in range(0, len(stroke), 2)]
        for (x0, y0), (x1, y1) in pairwise(points):
            dx, dy = x1 - x0, y1 - y0
            share = np.clip(((columns - x0) * dx + (rows - y0) * dy) / (dx * dx + dy * dy), 0, 1)
            nearest = np.minimum(nearest, np.hypot(columns - x0 - share * dx, rows - y0 - share * dy))
    return np.clip(0.35 + 0.075 * height - nearest, 0, 1)
