"""Probe geometry: where beams run, where pixels lie between them, and scan conversion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, kw_only=True)
class FieldOfView:
    """The part of the image that the probe sees.

    Scene coordinates have their origin at the middle of the probe face, x to the right and y
    downwards, in units of the imaging depth: the deepest point straight below the probe is (0, 1).

    Attributes:
        probe: ``linear``, ``convex``, ``endocavity`` or ``phased``.
        size_hw: Height and width of the image in pixels.
        scale: Pixels per unit of depth.
        origin_xy: Pixel position of the scene's origin.
        face_radius: Radius of a curved probe face in units of depth; 0 for a flat one.
        half_span: Half of the opening angle in radians, or half of the width of a flat probe.
    """

    probe: str
    size_hw: tuple[int, int]
    scale: float
    origin_xy: tuple[float, float]
    face_radius: float
    half_span: float

    @property
    def is_flat(self) -> bool:
        """Whether beams are parallel."""
        return self.face_radius == 0.0

    def beam_coordinates(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn scene points into (depth from 0 to 1, lateral from -1 to 1 within the field)."""
        if self.is_flat:
            return y, x / self.half_span
        below = y + self.face_radius
        return np.hypot(x, below) - self.face_radius, np.arctan2(x, below) / self.half_span

    def scene_points(self, depth: np.ndarray, lateral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turn beam coordinates into scene points (x, y)."""
        if self.is_flat:
            return lateral * self.half_span, depth
        angle = lateral * self.half_span
        radius = depth + self.face_radius
        return radius * np.sin(angle), radius * np.cos(angle) - self.face_radius

    def pixel_points(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Scene points of the centres of the pixels in a window, as an open grid (1, w) and (h, 1)."""
        x = (np.arange(columns.start, columns.stop) + 0.5 - self.origin_xy[0]) / self.scale
        y = (np.arange(rows.start, rows.stop) + 0.5 - self.origin_xy[1]) / self.scale
        return x[None, :], y[:, None]

    def pixel_window(self, centre: tuple[float, float], radius: float) -> tuple[slice, slice]:
        """Rows and columns of the pixels that a disc (in scene units) can touch."""
        px, py = (self.origin_xy[i] + centre[i] * self.scale for i in (0, 1))
        reach = radius * self.scale + 2
        height, width = self.size_hw
        return _clipped(py - reach, py + reach, height), _clipped(px - reach, px + reach, width)

    @cached_property
    def pixel_beam_coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Depth and lateral coordinate, each ``(H, W)``, of every pixel centre."""
        height, width = self.size_hw
        x, y = self.pixel_points(slice(0, height), slice(0, width))
        depth, lateral = self.beam_coordinates(x, y)
        return np.broadcast_to(depth, self.size_hw), np.broadcast_to(lateral, self.size_hw)

    @cached_property
    def visible(self) -> np.ndarray:
        """``(H, W)`` bool: the pixels within the field of view."""
        depth, lateral = self.pixel_beam_coordinates
        return (depth >= 0) & (depth <= 1) & (np.abs(lateral) <= 1)

    def scan_convert(self, beams: np.ndarray) -> np.ndarray:
        """Resample a ``(samples, beams)`` image to the ``(H, W)`` frame, 0 outside the field."""
        num_samples, num_beams = beams.shape
        out = np.zeros(self.size_hw)
        if self.is_flat:
            x, y = self.pixel_points(slice(0, self.size_hw[0]), slice(0, self.size_hw[1]))
            rows = np.nonzero((y[:, 0] >= 0) & (y[:, 0] <= 1))[0]
            columns = np.nonzero(np.abs(x[0]) <= self.half_span)[0]
            sample = np.minimum((y[rows, 0] * num_samples).astype(np.intp), num_samples - 1)
            beam = ((x[0, columns] / self.half_span + 1) * (num_beams / 2)).astype(np.intp)
            out[np.ix_(rows, columns)] = beams[np.ix_(sample, np.minimum(beam, num_beams - 1))]
            return out
        depth, lateral = self.pixel_beam_coordinates
        rows, columns = np.nonzero(self.visible)
        row = np.clip(depth[rows, columns] * num_samples - 0.5, 0, num_samples - 1.001)
        column = np.clip((lateral[rows, columns] + 1) * (num_beams / 2) - 0.5, 0, num_beams - 1.001)
        top, left = row.astype(np.intp), column.astype(np.intp)
        down, right = row - top, column - left
        flat, start = beams.ravel(), top * num_beams + left
        upper = flat[start] * (1 - right) + flat[start + 1] * right
        start += num_beams
        lower = flat[start] * (1 - right) + flat[start + 1] * right
        out[rows, columns] = upper * (1 - down) + lower * down
        return out


class BeamGrid:
    """Sample positions along the beams of a field of view: ``(samples, beams)`` arrays.

    Attributes:
        depth: ``(samples, 1)``, 0 to 1.
        lateral: ``(1, beams)``, -1 to 1.
        x: Scene x of each sample.
        y: Scene y of each sample.
        direction_x: ``(1, beams)``, x of the unit vector along each beam.
        direction_y: ``(1, beams)``, y of the unit vector along each beam.
    """

    def __init__(self, view: FieldOfView) -> None:
        self.view = view
        num_samples = round(view.scale)
        arc = view.half_span if view.is_flat else view.half_span * (view.face_radius + 0.65)
        num_beams = round(2 * arc * view.scale)
        self.shape = (num_samples, num_beams)
        self.depth = ((np.arange(num_samples) + 0.5) / num_samples)[:, None]
        self.lateral = ((np.arange(num_beams) + 0.5) * (2 / num_beams) - 1)[None, :]
        x, y = view.scene_points(self.depth, self.lateral)
        self.x, self.y = np.broadcast_to(x, self.shape), np.broadcast_to(y, self.shape)
        angle = self.lateral * (0.0 if view.is_flat else view.half_span)
        self.direction_x, self.direction_y = np.sin(angle), np.cos(angle)

    def window(self, centre: tuple[float, float], radius: float) -> tuple[slice, slice]:
        """Samples and beams that a disc (in scene units) can touch."""
        num_samples, num_beams = self.shape
        depth, lateral = self.view.beam_coordinates(np.asarray(centre[0]), np.asarray(centre[1]))
        if self.view.is_flat:
            reach = radius / self.view.half_span
        else:
            sine = min(1.0, radius / max(float(depth) + self.view.face_radius, 1e-6))
            reach = float(np.arcsin(sine)) / self.view.half_span if sine < 1 else 2.0
        first, last = (float(lateral) - reach + 1) / 2, (float(lateral) + reach + 1) / 2
        return (
            _clipped(
                (float(depth) - radius) * num_samples - 1,
                (float(depth) + radius) * num_samples + 1,
                num_samples,
            ),
            _clipped(first * num_beams - 1, last * num_beams + 1, num_beams),
        )


def _clipped(start: float, stop: float, length: int) -> slice:
    first = min(max(int(np.floor(start)), 0), length)
    return slice(first, min(max(int(np.ceil(stop)), first), length))


def draw_field_of_view(rng: np.random.Generator, probe: str, size: int) -> FieldOfView:
    """Draw the opening, the aspect and the place of the field in a frame with a given long side."""
    if probe == 'linear':
        return _draw_flat(rng, size)
    if probe == 'phased':
        face_radius, half_span = rng.uniform(0.02, 0.06), rng.uniform(0.58, 0.80)
    elif probe == 'endocavity':
        face_radius, half_span = rng.uniform(0.08, 0.22), rng.uniform(0.85, 1.35)
    else:
        face_radius, half_span = rng.uniform(0.25, 0.65), rng.uniform(0.42, 0.75)
    field_width = 2 * (1 + face_radius) * np.sin(half_span)
    field_height = 1 + face_radius * (1 - np.cos(half_span))
    aspect = float(np.clip(field_width / field_height * rng.uniform(0.6, 1.15), 0.7, 1.75))
    height, width = _size_hw(size, aspect)
    fit, cover = sorted((width / field_width, height / field_height))
    # Many scanners let the sector run over the sides of the frame rather than show all of it.
    growth = 0.0 if rng.random() < 0.4 else rng.uniform(0.2, 0.95)
    scale = fit * (cover / fit) ** growth * rng.uniform(0.93, 1.03)
    top = max(0.0, height - field_height * scale) * rng.uniform(0.1, 0.9)
    y = top + face_radius * (1 - np.cos(half_span)) * scale
    x = width / 2 + rng.normal(0, 0.02) * width
    return FieldOfView(
        probe=probe,
        size_hw=(height, width),
        scale=scale,
        origin_xy=(x, y),
        face_radius=face_radius,
        half_span=half_span,
    )


def _draw_flat(rng: np.random.Generator, size: int) -> FieldOfView:
    height, width = _size_hw(size, rng.uniform(0.75, 1.55))
    bordered = rng.random() < 0.4
    left, right, top, bottom = rng.uniform(0.0, (0.12, 0.12, 0.08, 0.1)) if bordered else (0.0,) * 4
    scale = height * (1 - top - bottom)
    field_width = width * (1 - left - right)
    return FieldOfView(
        probe='linear',
        size_hw=(height, width),
        scale=scale,
        origin_xy=(left * width + field_width / 2, top * height),
        face_radius=0.0,
        half_span=field_width / 2 / scale,
    )


def _size_hw(long_side: int, aspect: float) -> tuple[int, int]:
    return (round(long_side / aspect), long_side) if aspect >= 1 else (long_side, round(long_side * aspect))
