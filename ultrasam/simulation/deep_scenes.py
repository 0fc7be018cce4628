"""Anatomies seen through curved and phased probes."""

from __future__ import annotations

import numpy as np

from ultrasam.simulation import tissue
from ultrasam.simulation.arrangement import add_any_vessel, add_neighbour, scatter, unsettle
from ultrasam.simulation.builder import SceneBuilder, Spot
from ultrasam.simulation.canvas import Material
from ultrasam.simulation.lesions import add_complex_mass, add_cyst, add_solid_mass
from ultrasam.simulation.organs import (
    add_chamber,
    add_gland,
    add_head,
    add_kidney,
    add_ovary,
)
from ultrasam.simulation.outlines import wavy_outline
from ultrasam.simulation.tissue import Layer, paint_layers


def paint_pelvis(build: SceneBuilder) -> None:
    """Streaky pelvic tissue; ovaries, cysts, mixed masses, uterus, loops of bowel."""
    rng = build.rng
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(0.0, tissue.plain(rng.uniform(-2, 6), 2.0), 0.0),
            Layer(
                rng.uniform(0.05, 0.15),
                tissue.streaky(rng.uniform(-3, 3), rng.uniform(2, 5), rng.uniform(2, 6), rng.uniform(10, 26)),
                0.03,
                mirror=rng.uniform(0, 4),
            ),
        ],
    )
    unsettle(build, int(rng.integers(2, 6)))
    if rng.random() < 0.4:
        tissue.paint_gas(
            rng, build.canvas, rng.uniform(0.3, 0.8), rng.choice((-0.8, 0.8)), rng.uniform(0.1, 0.3)
        )
    kind = rng.random()
    if kind < 0.26:
        spot = build.find_spot(build.draw_share(0.13, 0.4, most=0.28), depths=(0.2, 0.7))
        organ = rng.random() < 0.55
        if spot is not None:
            add_ovary(build, spot, organ=organ, follicles=not organ or rng.random() < 0.35)
    elif kind < 0.36:
        spot = build.find_spot(build.draw_share(0.15, 0.35, most=0.30), depths=(0.3, 0.7))
        if spot is not None:
            add_gland(build, spot, kind='uterus')
    if kind > 0.30:
        scatter(
            build,
            [add_cyst, add_complex_mass, add_solid_mass],
            (0.42, 0.36, 0.22),
            depths=(0.15, 0.8),
            scale=1.15 if kind > 0.36 else 0.6,
        )


def paint_abdomen(build: SceneBuilder) -> None:
    """Wall layers over homogeneous parenchyma; kidney, prostate, gall bladder, liver masses, vessels."""
    rng = build.rng
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(0.0, tissue.fat(rng.uniform(-6, 2), rng.uniform(10, 18)), 0.0),
            Layer(
                rng.uniform(0.04, 0.10),
                tissue.muscle(rng.uniform(-8, -2), rng.uniform(25, 45)),
                0.01,
                mirror=2.0,
            ),
            Layer(
                rng.uniform(0.10, 0.22),
                tissue.plain(rng.uniform(-3, 3), rng.uniform(1, 2.5), rng.uniform(3, 8)),
                0.015,
                mirror=rng.uniform(1, 5),
            ),
        ],
    )
    unsettle(build, int(rng.integers(0, 4)))
    if rng.random() < 0.45:
        tissue.paint_gas(
            rng, build.canvas, rng.uniform(0.3, 0.8), rng.uniform(-0.9, 0.9), rng.uniform(0.08, 0.3)
        )
    kind = rng.random()
    if kind < 0.45:
        spot = build.find_spot(build.draw_share(0.13, 0.4, most=0.30), depths=(0.3, 0.7))
        if spot is not None and kind < 0.25:
            add_kidney(build, spot)
        elif spot is not None:
            add_gland(build, spot, kind='prostate')
        add_neighbour(build)
        return
    scatter(
        build,
        [add_solid_mass, add_cyst, add_complex_mass, add_any_vessel],
        (0.45, 0.33, 0.12, 0.10),
        depths=(0.2, 0.85),
    )


def paint_heart(build: SceneBuilder) -> None:
    """Heart muscle round two to four chambers, between dark lungs."""
    rng = build.rng
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(0.0, tissue.streaky(rng.uniform(0, 6), 3.0), 0.0),
            Layer(rng.uniform(0.08, 0.16), tissue.streaky(rng.uniform(-8, 0), 5.0, 3.0, 14.0), 0.02),
        ],
    )
    unsettle(build, int(rng.integers(0, 3)))
    radius = build.radius_of(build.draw_share(0.30, 0.2, most=0.42))
    radius = min(radius, 0.36)
    centre = (float(rng.normal(0, 0.04)), float(rng.uniform(0.48, 0.6)))
    tilt = float(rng.normal(0, 0.2))
    wall = wavy_outline(
        rng, centre, radius * 1.08, elongation=rng.uniform(1.15, 1.5), angle=np.pi / 2 + tilt, waviness=0.05
    )
    build.canvas.paint(
        rng,
        wall,
        Material(
            echo_db=rng.uniform(-4, 3),
            texture_db=3.5,
            patches=8,
            softness=0.08,
            rim=rng.uniform(2, 7),
            rim_db=rng.uniform(1, 6),
        ),
    )
    _add_chambers(build, centre, radius=radius, tilt=tilt)
    if rng.random() < 0.4:
        side = rng.choice((-1.0, 1.0))
        tissue.paint_gas(
            rng, build.canvas, rng.uniform(0.1, 0.3), side, 0.35 if build.view.half_span > 0.6 else 0.25
        )


def _add_chambers(build: SceneBuilder, centre: tuple[float, float], *, radius: float, tilt: float) -> None:
    """Two to four chambers, of which the first ones are annotated."""
    rng, blood_db = build.rng, -build.rng.uniform(16, 34)
    # Along and across the axis of the heart, in radii of it: both ventricles, then both atria.
    places = (
        (-0.30, 0.36, 0.46, 1.7),
        (-0.26, -0.40, 0.36, 1.8),
        (0.62, 0.36, 0.33, 1.1),
        (0.62, -0.38, 0.31, 1.1),
    )
    chosen = {2: (0, 2), 3: (0, 1, 2), 4: (0, 1, 2, 3)}[int(rng.choice((2, 3, 4)))]
    annotated = chosen[: int(rng.integers(1, len(chosen) + 1))]
    stretch = rng.uniform(0.85, 1.15)
    for number in chosen:
        along, across, size, elongation = places[number]
        across = across if len(chosen) > 2 else 0.05
        size = size if len(chosen) > 2 else size * 1.15
        along, across = along * stretch + rng.normal(0, 0.03), across + rng.normal(0, 0.03)
        place = (
            centre[0] + radius * float(across * np.cos(tilt) - along * np.sin(tilt)),
            centre[1] + radius * float(along * np.cos(tilt) + across * np.sin(tilt)),
        )
        add_chamber(
            build,
            Spot(place, radius * size * rng.uniform(0.85, 1.1)),
            elongation=elongation,
            angle=np.pi / 2 + tilt + rng.normal(0, 0.12),
            blood_db=blood_db + rng.normal(0, 2),
            annotated=number in annotated,
        )


def paint_fetus(build: SceneBuilder) -> None:
    """Womb wall and fluid round a fetal head."""
    rng = build.rng
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(0.0, tissue.fat(rng.uniform(-4, 4), 14), 0.0),
            Layer(rng.uniform(0.06, 0.18), tissue.streaky(rng.uniform(-4, 4), 4.0), 0.02, mirror=2.0),
            Layer(rng.uniform(0.75, 1.0), tissue.streaky(rng.uniform(-3, 4), 4.0), 0.04, mirror=2.0),
        ],
    )
    if rng.random() < 0.6:
        fluid = build.find_spot(rng.uniform(0.1, 0.25), depths=(0.25, 0.6))
        if fluid is not None:
            add_cyst(build, fluid, annotated=False)
            build.spots.clear()
    unsettle(build, int(rng.integers(1, 5)))
    spot = build.find_spot(
        build.draw_share(0.19, 0.35, least=0.06, most=0.36), depths=(0.35, 0.65), laterals=(-0.4, 0.4)
    )
    if spot is not None:
        add_head(build, spot)
    add_neighbour(build)
