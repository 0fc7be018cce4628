"""Marks a scanner or its user leaves on a frame: rulers, text, callipers, bars, colour boxes."""

from __future__ import annotations

import numpy as np

from ultrasam.simulation.geometry import FieldOfView
from ultrasam.simulation.lettering import draw_text
from ultrasam.simulation.outlines import Outline

_WORDS = (
    'RT',
    'LT',
    'LONG',
    'TRANS',
    'SAG',
    'MI 0.9',
    'TIS 0.4',
    'FR 32',
    'GN 54',
    'DR 60',
    'C5',
    'L12',
    'HZ',
    'DIST 1',
    'A',
    'B',
    'GEN',
    'RES',
    'PWR 97',
    '10 CL',
    'LAT',
    'MED',
    'D 4.2',
    'CH-S',
    'P3/E2',
    '2/3',
)
_YELLOW, _GREEN, _CYAN, _WHITE = (235, 220, 60), (90, 225, 80), (110, 200, 235), (215, 215, 215)


def draw_overlays(
    rng: np.random.Generator,
    image: np.ndarray,
    view: FieldOfView,
    outlines: list[Outline],
    *,
    depth_mm: float,
    allow_colour: bool,
) -> np.ndarray:
    """Draw the marks of one frame.

    Args:
        rng: Source of randomness.
        image: ``(H, W)`` uint8.
        view: Field of view of the frame.
        outlines: Annotated structures, some of which are measured with callipers.
        depth_mm: Imaging depth, for the ruler.
        allow_colour: Whether marks may be coloured.

    Returns:
        ``(H, W)`` uint8, or ``(H, W, 3)`` if any mark is coloured.
    """
    coloured = allow_colour and rng.random() < 0.35
    tint = (_YELLOW, _GREEN, _CYAN)[int(rng.integers(3))] if coloured else _WHITE
    canvas = np.repeat(image[..., None], 3, axis=2)
    unit = max(5, round(max(image.shape) / rng.uniform(42, 75)))
    if rng.random() < 0.4:
        _draw_ruler(rng, canvas, view, depth_mm, tint)
    if rng.random() < 0.25:
        _draw_gray_bar(rng, canvas)
    if rng.random() < 0.45:
        _draw_labels(rng, canvas, unit, tint)
    if rng.random() < 0.14:
        _draw_callipers(rng, canvas, view, outlines, unit, tint)
    if coloured and rng.random() < 0.12:
        _draw_box(rng, canvas, view, tint)
    return canvas if coloured else np.ascontiguousarray(canvas[..., 0])


def _draw_ruler(
    rng: np.random.Generator, canvas: np.ndarray, view: FieldOfView, depth_mm: float, colour: tuple[int, ...]
) -> None:
    """Ticks every 5 or 10 mm of depth at one side."""
    height, width = canvas.shape[:2]
    step = (5 if depth_mm < 70 else 10) * view.scale / depth_mm
    length = max(2, width // 90)
    column = round(width * (rng.uniform(0.01, 0.05) if rng.random() < 0.5 else rng.uniform(0.94, 0.98)))
    for number in range(int(view.scale / step) + 1):
        row = round(view.origin_xy[1] + number * step)
        if 0 <= row < height:
            canvas[
                row : row + max(1, height // 400), column : column + length * (2 if number % 5 == 0 else 1)
            ] = colour


def _draw_gray_bar(rng: np.random.Generator, canvas: np.ndarray) -> None:
    """The gray scale at a side of the frame."""
    height, width = canvas.shape[:2]
    thickness, length = max(2, width // 60), round(height * rng.uniform(0.2, 0.4))
    top, left = (
        round(height * rng.uniform(0.0, 0.2)),
        0 if rng.random() < 0.6 else width - max(2, width // 60),
    )
    canvas[top : top + length, left : left + thickness] = np.linspace(230, 10, length)[:, None, None].astype(
        np.uint8
    )


def _draw_labels(rng: np.random.Generator, canvas: np.ndarray, unit: int, colour: tuple[int, ...]) -> None:
    """A few short lines of text, mostly in the corners."""
    height, width = canvas.shape[:2]
    for corner in rng.permutation(4)[: int(rng.integers(1, 4))]:
        words = [_WORDS[int(rng.integers(len(_WORDS)))] for _ in range(int(rng.integers(1, 5)))]
        right, low = corner % 2 == 1, corner >= 2
        inside = rng.random() < 0.2
        left = round(width * (rng.uniform(0.7, 0.9) if right else rng.uniform(0.01, 0.08)))
        top = round(height * (rng.uniform(0.78, 0.9) if low else rng.uniform(0.01, 0.06)))
        if inside:
            words, left = words[:1], round(width * rng.uniform(0.2, 0.6))
        left = min(left, width - round(0.95 * unit * max(map(len, words))))
        top = min(top, height - round(1.5 * unit * len(words)))
        for line, word in enumerate(words):
            draw_text(canvas, word, left=left, top=top + round(1.5 * unit * line), height=unit, colour=colour)


def _draw_callipers(
    rng: np.random.Generator,
    canvas: np.ndarray,
    view: FieldOfView,
    outlines: list[Outline],
    unit: int,
    colour: tuple[int, ...],
) -> None:
    """Crosses at the ends of one or two diameters, at times of nothing in particular."""
    outline = outlines[int(rng.integers(len(outlines)))]
    centre, reach = np.array(outline.centre), outline.equivalent_radius
    if rng.random() < 0.2:
        centre = centre + rng.normal(0, 0.15, 2)
    angle = rng.normal(0, 0.3)
    for number in range(int(rng.integers(1, 3))):
        direction = np.array([np.cos(angle + number * np.pi / 2), np.sin(angle + number * np.pi / 2)])
        ends = [
            np.array(view.origin_xy)
            + (centre + sign * reach * rng.uniform(0.9, 1.2) * direction) * view.scale
            for sign in (-1, 1)
        ]
        for end in ends:
            _draw_cross(canvas, end, max(2, unit // 2), colour)
        dots = max(2, int(np.hypot(*(ends[1] - ends[0])) / max(4, unit // 2)))
        if rng.random() < 0.7:
            for share in np.linspace(0.08, 0.92, dots):
                _draw_cross(canvas, ends[0] + share * (ends[1] - ends[0]), 0, colour)


def _draw_cross(canvas: np.ndarray, centre: np.ndarray, arm: int, colour: tuple[int, ...]) -> None:
    """A plus sign with arms of ``arm`` pixels; what lies outside is cut off."""
    column, row = (round(float(value)) for value in centre)
    height, width = canvas.shape[:2]
    if 0 <= column < width and 0 <= row < height:
        canvas[max(row - arm, 0) : row + arm + 1, column] = colour
        canvas[row, max(column - arm, 0) : column + arm + 1] = colour


def _draw_box(
    rng: np.random.Generator, canvas: np.ndarray, view: FieldOfView, colour: tuple[int, ...]
) -> None:
    """The outline of a Doppler box and a few spots of flow in it."""
    depth, lateral = view.pixel_beam_coordinates
    top, side = rng.uniform(0.1, 0.3), rng.uniform(-0.6, 0.0)
    bottom, far = top + rng.uniform(0.3, 0.6), side + rng.uniform(0.5, 0.9)
    inside = (depth > top) & (depth < bottom) & (lateral > side) & (lateral < far)
    edge = inside.copy()
    edge[1:-1, 1:-1] &= ~(inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:])
    canvas[edge] = colour
    for _ in range(int(rng.integers(0, 4))):
        distance = np.hypot(depth - rng.uniform(top, bottom), (lateral - rng.uniform(side, far)) * 0.6)
        spot = inside & (distance < rng.uniform(0.01, 0.03))
        flow = (230, 70, 30) if rng.random() < 0.6 else (40, 80, 230)
        canvas[spot] = (canvas[spot] // 3 + np.array(flow) * 2 // 3).astype(np.uint8)
