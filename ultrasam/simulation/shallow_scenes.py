"""Anatomies seen through a linear probe, and the mixed phantom."""

from __future__ import annotations

import numpy as np

from ultrasam.simulation import tissue
from ultrasam.simulation.arrangement import add_any_vessel, draw_count, scatter, unsettle
from ultrasam.simulation.builder import SceneBuilder
from ultrasam.simulation.lesions import add_complex_mass, add_cyst, add_follicle, add_solid_mass
from ultrasam.simulation.organs import (
    add_gland,
    add_kidney,
    add_nerve,
    add_vessel,
)
from ultrasam.simulation.tissue import Layer, paint_layers


def paint_breast(build: SceneBuilder) -> None:
    """A breast with cysts and masses."""
    paint_breast_tissue(build)
    scatter(build, [add_solid_mass, add_cyst, add_complex_mass], (0.62, 0.25, 0.13), depths=(0.15, 0.75))


def paint_breast_tissue(build: SceneBuilder) -> None:
    """Skin, fat lobules, bright gland, chest muscle."""
    rng = build.rng
    gland_top = rng.uniform(0.12, 0.42)
    muscle_top = rng.uniform(0.72, 1.0)
    inner = tissue.gland(rng.uniform(-1, 5), rng.uniform(4, 9), rng.uniform(3.5, 9))
    if rng.random() < 0.3:
        inner = tissue.fat(rng.uniform(-8, -2), rng.uniform(4, 8))
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(0.0, tissue.plain(rng.uniform(4, 9), 1.0), 0.0),
            Layer(
                rng.uniform(0.02, 0.06),
                tissue.fat(rng.uniform(-12, -5), rng.uniform(7, 14)),
                0.004,
                mirror=1.0,
            ),
            Layer(gland_top, inner, rng.uniform(0.02, 0.07), mirror=rng.uniform(0, 2)),
            Layer(
                muscle_top,
                tissue.muscle(rng.uniform(-12, -5), rng.uniform(14, 30)),
                0.02,
                mirror=rng.uniform(1, 4),
            ),
        ],
    )
    unsettle(build, int(rng.integers(0, 4)))


def paint_neck(build: SceneBuilder) -> None:
    """Strap muscles, a bright thyroid lobe with nodules, carotid artery, tracheal shadow."""
    rng = build.rng
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(0.0, tissue.plain(5.0, 1.0), 0.0),
            Layer(rng.uniform(0.03, 0.06), tissue.fat(rng.uniform(-6, 0), 12), 0.005),
            Layer(
                rng.uniform(0.08, 0.16),
                tissue.muscle(rng.uniform(-12, -6), rng.uniform(25, 45)),
                0.01,
                mirror=2.0,
            ),
            Layer(
                rng.uniform(0.55, 0.85),
                tissue.streaky(rng.uniform(-8, 0), 4.0),
                0.03,
                mirror=rng.uniform(0, 3),
            ),
        ],
    )
    unsettle(build, int(rng.integers(0, 2)))
    if rng.random() < 0.5:
        side = rng.choice((-1.0, 1.0))
        tissue.paint_gas(
            rng, build.canvas, rng.uniform(0.2, 0.4), side * rng.uniform(0.8, 1.1), rng.uniform(0.2, 0.4)
        )
    lobe_spot = build.find_spot(
        build.draw_share(0.17, 0.35, most=0.33), depths=(0.3, 0.6), laterals=(-0.5, 0.5)
    )
    count = draw_count(build) - 1
    annotated_lobe = count == 0 or rng.random() < 0.2
    if lobe_spot is not None:
        lobe = add_gland(build, lobe_spot, kind='thyroid', annotated=annotated_lobe)
        build.spots.remove(lobe_spot)
        for _ in range(max(count, 0 if annotated_lobe else 1)):
            spot = build.find_spot(build.draw_share(0.045, 0.6), depths=(0.2, 0.7), laterals=(-0.6, 0.6))
            if spot is not None and np.hypot(
                spot.centre[0] - lobe.centre[0], spot.centre[1] - lobe.centre[1]
            ) < (0.9 * lobe_spot.radius):
                adder = (add_solid_mass, add_solid_mass, add_cyst, add_complex_mass)[int(rng.integers(4))]
                adder(build, spot)
        build.spots.append(lobe_spot)
    if rng.random() < 0.7:
        spot = build.find_spot(build.draw_share(0.02, 0.4, most=0.05), depths=(0.3, 0.7), crowding=0.95)
        if spot is not None:
            add_vessel(build, spot, tube=False, annotated=rng.random() < 0.4 or not build.structures)


def paint_nerve(build: SceneBuilder) -> None:
    """Muscle layers and fascia; a nerve bundle or two beside vessels."""
    rng = build.rng
    top = rng.uniform(0.04, 0.12)
    layers = [
        Layer(0.0, tissue.plain(5.0, 1.0), 0.0),
        Layer(top * 0.5, tissue.fat(rng.uniform(-9, -2), 14), 0.005),
    ]
    while top < 0.95:
        layers.append(
            Layer(
                top,
                tissue.muscle(rng.uniform(-11, -3), rng.uniform(20, 50)),
                rng.uniform(0.01, 0.03),
                mirror=rng.uniform(1, 5),
            )
        )
        top += rng.uniform(0.12, 0.4)
    paint_layers(rng, build.canvas, layers)
    unsettle(build, int(rng.integers(0, 3)))
    count = min(draw_count(build), 3)
    for _ in range(count):
        spot = build.find_spot(
            build.draw_share(0.05 / count**0.5, 0.8, least=0.003, most=0.2), depths=(0.2, 0.7)
        )
        if spot is not None:
            add_nerve(build, spot)
    for _ in range(int(rng.integers(0, 3))):
        spot = build.find_spot(build.draw_share(0.015, 0.6, most=0.06), depths=(0.2, 0.8), crowding=1.0)
        if spot is not None:
            add_vessel(build, spot, tube=rng.random() < 0.12, annotated=rng.random() < 0.35)


def paint_phantom(build: SceneBuilder) -> None:
    """Any tissue with any structures: breaks the tie between anatomy and structure."""
    paint_any_tissue(build)
    scatter(
        build,
        [add_solid_mass, add_cyst, add_complex_mass, add_nerve, add_kidney, add_any_vessel, add_follicle],
        (0.34, 0.18, 0.16, 0.10, 0.07, 0.05, 0.10),
        depths=(0.1, 0.9),
    )


def paint_any_tissue(build: SceneBuilder) -> None:
    """Layers of any tissue, sometimes with gas."""
    rng = build.rng
    textures = [
        tissue.plain(rng.uniform(-3, 3)),
        tissue.gland(rng.uniform(-3, 3)),
        tissue.fat(rng.uniform(-6, 0)),
        tissue.muscle(rng.uniform(-8, 0)),
        tissue.streaky(rng.uniform(-4, 3)),
    ]
    tops = np.sort(rng.uniform(0.03, 0.9, int(rng.integers(0, 4))))
    paint_layers(
        rng,
        build.canvas,
        [
            Layer(
                float(top),
                textures[int(rng.integers(len(textures)))],
                rng.uniform(0, 0.04),
                mirror=rng.uniform(0, 3),
            )
            for top in (0.0, *tops)
        ],
    )
    unsettle(build, int(rng.integers(0, 5)))
    if rng.random() < 0.2:
        tissue.paint_gas(
            rng, build.canvas, rng.uniform(0.2, 0.8), rng.uniform(-0.9, 0.9), rng.uniform(0.05, 0.3)
        )
