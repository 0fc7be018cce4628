"""Outlines of structures as implicit curves that can be evaluated at any scene points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

_NUM_ANGLES = 512
_ANGLES = np.arange(_NUM_ANGLES) * (2 * np.pi / _NUM_ANGLES)


@dataclass(frozen=True)
class Ellipse:
    """Half axes in scene units and the angle of the first one from the x axis, in radians."""

    centre: tuple[float, float]
    half_axes: tuple[float, float]
    angle: float


class Outline(Protocol):
    """A closed curve with a signed distance (negative inside), in scene units."""

    centre: tuple[float, float]
    ellipse: Ellipse | None

    @property
    def reach(self) -> float:
        """Radius of a disc round ``centre`` that holds the curve."""

    @property
    def equivalent_radius(self) -> float:
        """Radius of the disc with the same area."""

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Signed distance of points."""

    def normal(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outward normal (x, y) of the curve where it is nearest to each point."""


class RadialOutline:
    """A curve given by one radius for each direction from its centre.

    Attributes:
        centre: Scene point the radii start from.
        radii: ``(512,)``, radius for each of 512 evenly spaced directions.
        ellipse: The ellipse that the curve follows exactly, if it is one.
    """

    def __init__(
        self, centre: tuple[float, float], radii: np.ndarray, ellipse: Ellipse | None = None
    ) -> None:
        self.centre = centre
        self.radii = radii
        self.ellipse = ellipse
        slope = (np.roll(radii, -1) - np.roll(radii, 1)) * (_NUM_ANGLES / (4 * np.pi))
        length = np.hypot(radii, slope)
        # Tables have one entry more than there are directions, for points at the seam.
        cosine, sine = np.append(radii / length, 1.0), slope / length
        cosine[-1] = cosine[0]
        self._cosine = cosine
        self._padded = np.append(radii, radii[0])
        self._steps = np.append(np.diff(self._padded), 0.0)
        normal_x = np.cos(_ANGLES) * cosine[:-1] + np.sin(_ANGLES) * sine
        normal_y = np.sin(_ANGLES) * cosine[:-1] - np.cos(_ANGLES) * sine
        self._normal_x, self._normal_y = np.append(normal_x, normal_x[0]), np.append(normal_y, normal_y[0])

    @property
    def reach(self) -> float:
        """Radius of a disc round ``centre`` that holds the curve."""
        return float(self.radii.max())

    @property
    def equivalent_radius(self) -> float:
        """Radius of the disc with the same area."""
        return float(np.sqrt(np.mean(self.radii**2)))

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Signed distance, to first order, of the curve in each point's direction."""
        dx, dy = x - self.centre[0], y - self.centre[1]
        place = _direction_place(dx, dy)
        index = place.astype(np.intp)
        radius = self._padded[index] + self._steps[index] * (place - index)
        return (np.sqrt(dx * dx + dy * dy) - radius) * self._cosine[index]

    def normal(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outward normal (x, y) of the curve in each point's direction."""
        index = _direction_place(x - self.centre[0], y - self.centre[1]).astype(np.intp)
        return self._normal_x[index], self._normal_y[index]

    def scaled(self, factor: float, *, shift: tuple[float, float] = (0.0, 0.0)) -> RadialOutline:
        """The same curve at another size, moved by ``shift`` scene units."""
        centre = (self.centre[0] + shift[0], self.centre[1] + shift[1])
        return RadialOutline(centre, self.radii * factor)


def _direction_place(dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Direction of vectors as a place in a table of 512 angles, 0 to 512."""
    place = np.arctan2(dy, dx) * (_NUM_ANGLES / (2 * np.pi))
    return np.where(place < 0, place + _NUM_ANGLES, place)


class BandOutline:
    """A bent band with round ends: a tube cut along its axis."""

    def __init__(
        self, centre: tuple[float, float], *, half_length: float, half_width: float, angle: float, bend: float
    ) -> None:
        self.centre = centre
        self.half_length, self.half_width, self.angle, self.bend = half_length, half_width, angle, bend
        self.ellipse: Ellipse | None = None

    @property
    def reach(self) -> float:
        """Radius of a disc round ``centre`` that holds the band."""
        return self.half_length + self.half_width + abs(self.bend)

    @property
    def equivalent_radius(self) -> float:
        """Radius of the disc with the same area."""
        return float(np.sqrt((4 * self.half_length * self.half_width) / np.pi + self.half_width**2))

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Signed distance, to first order."""
        along, across = self._local(x, y)
        past = np.maximum(np.abs(along) - self.half_length, 0.0)
        return np.hypot(past, across) - self.half_width

    def normal(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outward normal (x, y) of the long side that is nearest."""
        side = np.sign(self._local(x, y)[1])
        return -np.sin(self.angle) * side, np.cos(self.angle) * side

    def _local(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place along the axis and distance from it."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        dx, dy = x - self.centre[0], y - self.centre[1]
        along = dx * cosine + dy * sine
        return along, dy * cosine - dx * sine - self.bend * ((along / self.half_length) ** 2 - 0.4)


def ellipse_outline(
    centre: tuple[float, float], radius: float, *, elongation: float, angle: float
) -> RadialOutline:
    """An exact ellipse with the area of a disc of ``radius`` and a ratio of axes of ``elongation``."""
    major, minor = radius * np.sqrt(elongation), radius / np.sqrt(elongation)
    turned = _ANGLES - angle
    radii = major * minor / np.hypot(minor * np.cos(turned), major * np.sin(turned))
    return RadialOutline(centre, radii, Ellipse(centre, (float(major), float(minor)), float(angle)))


def wavy_outline(
    rng: np.random.Generator,
    centre: tuple[float, float],
    radius: float,
    *,
    elongation: float,
    angle: float,
    waviness: float,
    orders: tuple[int, int] = (2, 6),
    decay: float = 1.0,
) -> RadialOutline:
    """An ellipse with harmonics of the given orders; ``waviness`` is their standard deviation."""
    base = ellipse_outline(centre, radius, elongation=elongation, angle=angle)
    order = np.arange(orders[0], orders[1] + 1)
    strength = order**-decay
    strength = strength * (waviness * np.sqrt(2 / np.sum(strength**2)))
    phase = rng.uniform(0, 2 * np.pi, len(order))
    strength = strength * rng.uniform(0.5, 1.3, len(order))
    wave = strength @ np.cos(order[:, None] * _ANGLES + phase[:, None])
    radii = base.radii * np.clip(1 + wave, 0.35, 1.8)
    return RadialOutline(centre, radii * (radius / np.sqrt(np.mean(radii**2))))


def spiked_outline(
    rng: np.random.Generator, body: RadialOutline, *, count: int, height: float
) -> RadialOutline:
    """A body with ``count`` thin spikes of up to ``height`` times its radius."""
    radii = body.radii.copy()
    for _ in range(count):
        offset = np.angle(np.exp(1j * (_ANGLES - rng.uniform(0, 2 * np.pi))))
        radii += (
            rng.uniform(0.3, 1.0)
            * height
            * body.equivalent_radius
            * np.exp(-np.abs(offset) / rng.uniform(0.05, 0.12))
        )
    return RadialOutline(body.centre, radii)


def bean_outline(
    rng: np.random.Generator,
    centre: tuple[float, float],
    radius: float,
    *,
    elongation: float,
    angle: float,
    notch: float,
) -> RadialOutline:
    """A kidney-like outline: an ellipse with a notch in one long side."""
    base = wavy_outline(rng, centre, radius, elongation=elongation, angle=angle, waviness=0.03)
    offset = np.angle(np.exp(1j * (_ANGLES - angle - np.pi / 2)))
    radii = base.radii * (1 - notch * np.exp(-((offset / 0.45) ** 2)))
    return RadialOutline(centre, radii * (radius / np.sqrt(np.mean(radii**2))))
