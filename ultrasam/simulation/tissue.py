"""Background anatomy: layered and patchy tissue, painted before any structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ultrasam.simulation.canvas import Canvas
from ultrasam.simulation.noise import ramp, smooth_curve, smooth_noise

Texture = Callable[[np.random.Generator, Canvas, slice], np.ndarray]


@dataclass(frozen=True)
class Layer:
    """A sheet of tissue from a depth on down.

    Attributes:
        top: Depth where it begins, 0 to 1.
        texture: Draws the echogenicity in dB of some rows of the beam grid.
        bulge: Standard deviation of the depth of its upper face across the beams.
        mirror: Strength of the mirror-like echo of its upper face.
    """

    top: float
    texture: Texture
    bulge: float = 0.01
    mirror: float = 0.0


def paint_layers(rng: np.random.Generator, canvas: Canvas, layers: list[Layer]) -> None:
    """Paint layers from the probe face downwards."""
    num_samples, num_beams = canvas.grid.shape
    for layer in layers:
        face = layer.top + layer.bulge * smooth_curve(rng, num_beams, rng.uniform(1, 4))
        first = int(max(0.0, float(face.min()) - 0.03) * num_samples)
        rows = slice(first, num_samples)
        if first >= num_samples:
            continue
        above = face - canvas.grid.depth[rows]
        cover = ramp(above, rng.uniform(0.003, 0.012))
        echo = canvas.echo_db[rows]
        echo += cover * (layer.texture(rng, canvas, rows) - echo)
        if layer.mirror > 0:
            width = rng.uniform(0.002, 0.005)
            strip = slice(0, int((float(face.max()) - float(face.min()) + 0.06) * num_samples))
            rough = 0.6 * width * smooth_curve(rng, num_beams, 40)
            broken = np.clip(0.35 + 0.7 * smooth_curve(rng, num_beams, rng.uniform(5, 20)), 0, 2)
            sheet = np.exp(-(((above[strip] + rough) / width) ** 2))
            canvas.mirror[rows][strip] += 0.7 * layer.mirror * broken * sheet
            canvas.echo_db[rows][strip] += 5 * sheet * broken


def add_structure(rng: np.random.Generator, canvas: Canvas) -> None:
    """Vary all tissue at several scales and thread it with broken strands, as no real tissue is even."""
    rows = slice(0, canvas.grid.shape[0])
    shape = canvas.grid.shape
    coarse = smooth_noise(rng, shape, _cells(canvas, rows, rng.uniform(4, 8), rng.uniform(1, 2)))
    streaks = smooth_noise(rng, shape, _cells(canvas, rows, rng.uniform(18, 40), rng.uniform(2, 5)))
    canvas.echo_db += rng.uniform(0.8, 3.2) * coarse
    canvas.echo_db += rng.uniform(0.3, 3.0) * streaks * np.clip(1 + 0.7 * coarse, 0, 3)
    strands = np.exp(
        -(
            (smooth_noise(rng, shape, _cells(canvas, rows, rng.uniform(5, 11), rng.uniform(2.5, 6))) / 0.09)
            ** 2
        )
    )
    canvas.echo_db += rng.uniform(2, 9) * strands * np.clip(streaks + 0.2, 0, 1.5)


def _shape(canvas: Canvas, rows: slice) -> tuple[int, int]:
    return rows.stop - rows.start, canvas.grid.shape[1]


def _cells(canvas: Canvas, rows: slice, per_depth: float, stretch: float) -> tuple[float, float]:
    """Patches along rows and beams, ``per_depth`` over the full depth, ``stretch`` times wider than deep."""
    view = canvas.grid.view
    width = 2 * view.half_span * (1 if view.is_flat else view.face_radius + 0.6)
    share = (rows.stop - rows.start) / canvas.grid.shape[0]
    return per_depth * share, per_depth * width / stretch


def plain(echo_db: float, variation_db: float = 2.0, patches: float = 5.0) -> Texture:
    """Homogeneous parenchyma with slow changes."""

    def draw(rng: np.random.Generator, canvas: Canvas, rows: slice) -> np.ndarray:
        cells = _cells(canvas, rows, patches, 1.5)
        return echo_db + variation_db * smooth_noise(rng, _shape(canvas, rows), cells)

    return draw


def fat(echo_db: float, lobules: float = 9.0) -> Texture:
    """Dark lobules between bright curved septa."""

    def draw(rng: np.random.Generator, canvas: Canvas, rows: slice) -> np.ndarray:
        shape = _shape(canvas, rows)
        lobule = smooth_noise(rng, shape, _cells(canvas, rows, lobules, rng.uniform(1.5, 3)))
        septa = np.exp(-((lobule / 0.13) ** 2))
        strength = np.clip(smooth_noise(rng, shape, _cells(canvas, rows, lobules, 1.5)) + 0.5, 0, 2)
        return echo_db + 1.5 * lobule + 12 * septa * strength

    return draw


def gland(echo_db: float, contrast_db: float = 9.0, patches: float = 10.0) -> Texture:
    """Bright stroma with dark ducts and lobules."""

    def draw(rng: np.random.Generator, canvas: Canvas, rows: slice) -> np.ndarray:
        shape = _shape(canvas, rows)
        coarse = smooth_noise(rng, shape, _cells(canvas, rows, patches, rng.uniform(1, 2.2)))
        fine = smooth_noise(rng, shape, _cells(canvas, rows, 3 * patches, rng.uniform(1, 2.5)))
        return echo_db + contrast_db * np.tanh(0.6 * coarse) + 2.5 * fine

    return draw


def muscle(echo_db: float, stripes: float = 28.0) -> Texture:
    """Dark fibres with bright slanting fibre planes."""

    def draw(rng: np.random.Generator, canvas: Canvas, rows: slice) -> np.ndarray:
        shape = _shape(canvas, rows)
        slant = rng.uniform(-0.35, 0.35)
        bend = smooth_noise(rng, shape, _cells(canvas, rows, 6, 2.5))
        phase = (canvas.grid.y[rows] + slant * canvas.grid.x[rows]) * (np.pi * stripes) + 3.0 * bend
        planes = np.cos(phase) ** 2
        planes *= planes * planes
        strength = np.clip(smooth_noise(rng, shape, _cells(canvas, rows, 26, 4)) - 0.1, 0, 2)
        return echo_db + 9 * planes * strength + 1.5 * bend

    return draw


def streaky(
    echo_db: float, contrast_db: float = 5.0, stretch: float = 5.0, fineness: float = 24.0
) -> Texture:
    """Short bright and dark streaks along the probe face, as in bowel, peritoneum and scarred tissue."""

    def draw(rng: np.random.Generator, canvas: Canvas, rows: slice) -> np.ndarray:
        shape = _shape(canvas, rows)
        streaks = smooth_noise(rng, shape, _cells(canvas, rows, fineness, stretch))
        slow = smooth_noise(rng, shape, _cells(canvas, rows, 4, 1.5))
        return echo_db + contrast_db * streaks + 3.5 * slow

    return draw


def paint_gas(rng: np.random.Generator, canvas: Canvas, depth: float, lateral: float, width: float) -> None:
    """Put a bright gas or bone front with a dirty or clean shadow behind it."""
    num_beams = canvas.grid.shape[1]
    offset = (canvas.grid.lateral - lateral) / width
    profile = np.exp(-(offset**4))
    front = depth + 0.02 * smooth_curve(rng, num_beams, 8) - 0.04 * (1 - offset**2).clip(0, 1)
    below = canvas.grid.depth - front
    thickness = rng.uniform(0.006, 0.02)
    canvas.echo_db += rng.uniform(8, 16) * profile * np.exp(-((below / thickness) ** 2))
    strength = rng.uniform(30, 110)
    canvas.attenuation += strength * profile * np.exp(-(((below - 0.08) / 0.08) ** 2))
