"""How many structures a scene holds, where they go and what lies between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ultrasam.simulation.builder import SceneBuilder, Spot
from ultrasam.simulation.canvas import Material
from ultrasam.simulation.lesions import add_cyst, add_solid_mass
from ultrasam.simulation.organs import add_vessel
from ultrasam.simulation.outlines import wavy_outline
from ultrasam.simulation.tissue import add_structure

_COUNTS = (1, 2, 3, 4, 5, 6)
_COUNT_ODDS = (0.52, 0.25, 0.12, 0.06, 0.03, 0.02)


def draw_count(build: SceneBuilder) -> int:
    """Draw how many structures to annotate: mostly one or two, at most six."""
    return int(build.rng.choice(_COUNTS, p=_COUNT_ODDS))


def _median_share(count: int) -> float:
    """Typical share of the frame of one of ``count`` structures."""
    return 0.13 / count**0.45


def scatter(
    build: SceneBuilder,
    adders: list[Callable[..., None]],
    odds: tuple[float, ...],
    *,
    depths: tuple[float, float],
    scale: float = 1.0,
) -> None:
    """Paint some structures of one scene, then a few more that nobody annotated."""
    rng, count = build.rng, draw_count(build)
    weights = np.asarray(odds) / np.sum(odds)
    for _ in range(count):
        spot = build.find_spot(build.draw_share(scale * _median_share(count), 0.6), depths=depths)
        if spot is not None:
            adders[int(rng.choice(len(adders), p=weights))](build, spot)
    for _ in range(int(rng.integers(0, 3))):
        spot = build.find_spot(
            build.draw_share(0.008, 0.7, least=0.001, most=0.03), depths=(0.05, 0.95), crowding=1.25
        )
        if spot is not None:
            adders[int(rng.choice(len(adders), p=weights))](build, spot, annotated=False)


def unsettle(build: SceneBuilder, count: int) -> None:
    """Make tissue uneven, with ``count`` darker or brighter patches that have no clear edge."""
    rng = build.rng
    add_structure(rng, build.canvas)
    for _ in range(count):
        depth, lateral = rng.uniform(0.1, 0.95), rng.uniform(-0.95, 0.95)
        x, y = build.view.scene_points(np.asarray(depth), np.asarray(lateral))
        outline = wavy_outline(
            rng,
            (float(x), float(y)),
            rng.uniform(0.04, 0.14),
            elongation=rng.uniform(1.2, 3),
            angle=rng.normal(0, 0.4),
            waviness=0.15,
        )
        build.canvas.paint(
            rng,
            outline,
            Material(
                echo_db=build.canvas.local_echo_db(outline) + rng.choice((-1.0, 1.0)) * rng.uniform(3, 9),
                texture_db=3,
                softness=rng.uniform(0.35, 0.8),
            ),
        )


def add_neighbour(build: SceneBuilder) -> None:
    """Sometimes add one small structure beside an organ."""
    if build.rng.random() < 0.35:
        spot = build.find_spot(build.draw_share(0.02, 0.6), depths=(0.15, 0.85))
        if spot is not None:
            adder = (add_cyst, add_solid_mass, add_any_vessel)[int(build.rng.integers(3))]
            adder(build, spot, annotated=build.rng.random() < 0.6)


def add_any_vessel(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """A vessel cut across or, less often, along."""
    add_vessel(build, spot, tube=build.rng.random() < 0.3, annotated=annotated)
