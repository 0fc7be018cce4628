"""A scene under construction: free places, painted structures and their annotations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ultrasam.simulation.canvas import Canvas
from ultrasam.simulation.geometry import BeamGrid, FieldOfView
from ultrasam.simulation.outlines import Outline, RadialOutline

_TRIES = 12


@dataclass(frozen=True)
class Spot:
    """A free disc: centre in scene coordinates and radius in units of depth."""

    centre: tuple[float, float]
    radius: float


@dataclass(frozen=True)
class Structure:
    """An annotated structure."""

    category: str
    outline: Outline
    attributes: dict[str, Any]


@dataclass
class SceneBuilder:
    """Paints structures on a canvas and keeps account of where they are.

    Attributes:
        rng: Source of every random choice of the scene.
        canvas: What is painted on.
        structures: The annotated structures so far.
        spots: Every place taken so far, annotated or not.
    """

    rng: np.random.Generator
    canvas: Canvas
    structures: list[Structure] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)

    @classmethod
    def empty(cls, rng: np.random.Generator, view: FieldOfView) -> SceneBuilder:
        """A builder with nothing painted."""
        return cls(rng=rng, canvas=Canvas(BeamGrid(view)))

    @property
    def view(self) -> FieldOfView:
        """The field of view of the frame."""
        return self.canvas.grid.view

    def radius_of(self, area_share: float) -> float:
        """Radius in units of depth of a disc that covers a share of the whole frame."""
        height, width = self.view.size_hw
        return float(np.sqrt(area_share * height * width / np.pi)) / self.view.scale

    def draw_share(self, median: float, spread: float, *, least: float = 0.004, most: float = 0.30) -> float:
        """Draw a log-normal share of the frame."""
        return float(np.clip(median * np.exp(spread * self.rng.standard_normal()), least, most))

    def find_spot(
        self,
        area_share: float,
        *,
        depths: tuple[float, float] = (0.15, 0.85),
        laterals: tuple[float, float] = (-0.85, 0.85),
        crowding: float = 0.95,
    ) -> Spot | None:
        """Find a free place for a disc of a share of the frame; it shrinks where the scene is full.

        Args:
            area_share: Wanted share of the frame.
            depths: Range for the depth of the centre.
            laterals: Range for the lateral coordinate of the centre.
            crowding: Least distance of two centres as a part of the sum of their radii.
        """
        radius = self.radius_of(area_share)
        for attempt in range(_TRIES):
            if attempt and attempt % 3 == 0:
                radius *= 0.8
            low, high = max(depths[0], 0.75 * radius), min(depths[1], 1.05 - 0.8 * radius)
            depth = self.rng.uniform(min(low, high), max(low, high))
            lateral = self.rng.uniform(*laterals)
            x, y = self.view.scene_points(np.asarray(depth), np.asarray(lateral))
            spot = Spot((float(x), float(y)), radius)
            if self._is_free(spot, crowding) and self._is_seen(spot):
                self.spots.append(spot)
                return spot
        return None

    def _is_free(self, spot: Spot, crowding: float) -> bool:
        return all(
            np.hypot(spot.centre[0] - other.centre[0], spot.centre[1] - other.centre[1])
            > crowding * (spot.radius + other.radius)
            for other in self.spots
        )

    def _is_seen(self, spot: Spot) -> bool:
        """Whether at least seven of eight points half-way to the edge lie within frame and field."""
        angle = np.arange(8) * (np.pi / 4)
        x = spot.centre[0] + 0.75 * spot.radius * np.cos(angle)
        y = spot.centre[1] + 0.75 * spot.radius * np.sin(angle)
        depth, lateral = self.view.beam_coordinates(x, y)
        column = self.view.origin_xy[0] + x * self.view.scale
        row = self.view.origin_xy[1] + y * self.view.scale
        height, width = self.view.size_hw
        seen = (
            (depth > 0)
            & (depth < 1)
            & (np.abs(lateral) < 1)
            & (column > 0)
            & (column < width)
            & (row > 0)
            & (row < height)
        )
        return int(seen.sum()) >= 7

    def annotate(self, category: str, outline: Outline, **attributes: Any) -> None:
        """Enter a structure into the annotation."""
        self.structures.append(Structure(category, outline, attributes))


def point_inside(build: SceneBuilder, body: RadialOutline, reach: float) -> tuple[float, float]:
    """A random point within ``reach`` times an outline."""
    index = int(build.rng.integers(len(body.radii)))
    distance = body.radii[index] * reach * np.sqrt(build.rng.random())
    angle = 2 * np.pi * index / len(body.radii)
    return body.centre[0] + float(distance * np.cos(angle)), body.centre[1] + float(distance * np.sin(angle))
