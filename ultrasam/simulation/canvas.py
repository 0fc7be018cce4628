"""The acoustic map of a scene: echogenicity, attenuation and mirrors on the beam grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrasam.simulation.geometry import BeamGrid
from ultrasam.simulation.noise import ramp, smooth_noise
from ultrasam.simulation.outlines import Outline


@dataclass(frozen=True, kw_only=True)
class Material:
    """How the inside and the edge of a structure scatter, reflect and attenuate.

    Attributes:
        echo_db: Mean echogenicity; 0 dB is ordinary soft tissue.
        texture_db: Standard deviation of slow changes of echogenicity inside.
        patches: Number of such changes across the structure.
        softness: Half width of the edge as a fraction of the structure's radius.
        attenuation: Extra two-way attenuation in dB per unit of depth; negative behind clear fluid.
        rim: Mirror strength of the edge where it faces the beam; ordinary speckle has strength 1.
        rim_db: Brightness that a capsule adds all round.
        rim_width: Width of rim and capsule as a fraction of the radius.
        edge_shadow: Attenuation at edges that run along the beam, in dB per unit of depth.
    """

    echo_db: float
    texture_db: float = 1.0
    patches: float = 3.0
    softness: float = 0.05
    attenuation: float = 0.0
    rim: float = 0.0
    rim_db: float = 0.0
    rim_width: float = 0.04
    edge_shadow: float = 0.0


# Capsules and walls stay thin on large structures: 0.9 % of the imaging depth.
_THICKEST_RIM = 0.007
# Refraction at a grazing edge spoils the beam over this part of the radius.
_GRAZE_WIDTH = 0.08


class Canvas:
    """Beam-grid maps that tissue and structures are painted on.

    Attributes:
        grid: Where the samples lie.
        echo_db: ``(samples, beams)`` echogenicity in dB.
        attenuation: ``(samples, beams)`` extra two-way attenuation in dB per unit of depth.
        mirror: ``(samples, beams)`` amplitude of mirror-like echoes.
    """

    def __init__(self, grid: BeamGrid) -> None:
        self.grid = grid
        self.echo_db = np.zeros(grid.shape)
        self.attenuation = np.zeros(grid.shape)
        self.mirror = np.zeros(grid.shape)

    def local_echo_db(self, outline: Outline) -> float:
        """Mean echogenicity of what the disc round an outline covers now."""
        window = self.grid.window(outline.centre, outline.reach)
        part = self.echo_db[window]
        return float(part.mean()) if part.size else 0.0

    def paint(
        self, rng: np.random.Generator, outline: Outline, material: Material, *, within: Outline | None = None
    ) -> None:
        """Lay a structure over what is there, optionally only ``within`` another outline."""
        grid, radius = self.grid, outline.equivalent_radius
        width = max(material.softness * radius, 0.6 / grid.shape[0])
        rim_width = max(min(material.rim_width * radius, _THICKEST_RIM), 0.9 / grid.shape[0])
        window = grid.window(outline.centre, outline.reach + width + 3 * rim_width)
        x, y = grid.x[window], grid.y[window]
        if x.size == 0:
            return
        distance = outline.distance(x, y)
        cover = ramp(distance, width)
        if within is not None:
            cover *= ramp(within.distance(x, y), width)
        inside: float | np.ndarray = material.echo_db
        if material.texture_db > 0:
            inside = inside + material.texture_db * smooth_noise(rng, x.shape, (material.patches,) * 2)
        echo = self.echo_db[window]
        echo += cover * (inside - echo)
        attenuation = self.attenuation[window]
        attenuation += cover * (material.attenuation - attenuation)
        mirror = self.mirror[window]
        mirror -= cover * mirror
        if material.rim or material.rim_db or material.edge_shadow:
            columns = window[1]
            normal_x, normal_y = outline.normal(x, y)
            facing = np.abs(normal_x * grid.direction_x[:, columns] + normal_y * grid.direction_y[:, columns])
            rim = np.exp(-((distance / rim_width) ** 2))
            if within is not None:
                rim *= ramp(within.distance(x, y), width)
            broken = np.clip(0.65 + 0.6 * smooth_noise(rng, x.shape, (6, 6)), 0, 1.7)
            mirror += material.rim * rim * broken * facing**6
            echo += material.rim_db * rim * broken
            if material.edge_shadow:
                graze = np.exp(-((distance / max(rim_width, _GRAZE_WIDTH * radius)) ** 2))
                attenuation += material.edge_shadow * graze * (1 - facing) ** 3

    def add_lines(
        self, rng: np.random.Generator, outline: Outline, *, gain_db: float, cells: float, width: float
    ) -> None:
        """Brighten thin curved sheets (septa, fibre planes) inside an outline.

        Args:
            rng: Source of randomness.
            outline: Where the sheets may run.
            gain_db: Brightness of a sheet.
            cells: Number of compartments across.
            width: Thickness of a sheet as a fraction of a compartment.
        """
        window = self.grid.window(outline.centre, outline.reach)
        x, y = self.grid.x[window], self.grid.y[window]
        if x.size == 0:
            return
        cover = ramp(outline.distance(x, y), 0.05 * outline.equivalent_radius)
        sheets = np.exp(-((smooth_noise(rng, x.shape, (cells, cells)) / width) ** 2))
        self.echo_db[window] += gain_db * cover * sheets
