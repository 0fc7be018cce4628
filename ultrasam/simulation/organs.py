"""Organs, vessels, nerves, chambers and heads: each function paints one and enters it if asked to."""

from __future__ import annotations

import numpy as np

from ultrasam.simulation.builder import SceneBuilder, Spot, point_inside
from ultrasam.simulation.canvas import Material
from ultrasam.simulation.lesions import add_follicle
from ultrasam.simulation.outlines import (
    BandOutline,
    Outline,
    RadialOutline,
    bean_outline,
    ellipse_outline,
    wavy_outline,
)


def add_ovary(build: SceneBuilder, spot: Spot, *, organ: bool, follicles: bool) -> None:
    """An ovary with follicles; annotated as an organ, by its follicles, or both."""
    rng = build.rng
    outline = wavy_outline(
        rng,
        spot.centre,
        spot.radius,
        elongation=rng.uniform(1.1, 1.9),
        angle=rng.normal(0, 0.5),
        waviness=0.05,
    )
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=build.canvas.local_echo_db(outline) - rng.uniform(3, 10),
            texture_db=2.5,
            patches=7,
            softness=rng.uniform(0.05, 0.15),
            rim_db=rng.uniform(-3, 5),
            rim_width=0.06,
            rim=rng.uniform(0, 2),
        ),
    )
    taken: list[tuple[tuple[float, float], float]] = []
    for _ in range(int(rng.integers(2, 12))):
        radius = spot.radius * rng.uniform(0.10, 0.36)
        centre = point_inside(build, outline, 0.78)
        if all(np.hypot(centre[0] - c[0], centre[1] - c[1]) > 1.1 * (radius + r) for c, r in taken):
            taken.append((centre, radius))
            large = radius > 0.2 * spot.radius and len([r for _, r in taken if r > 0.2 * spot.radius]) <= 5
            add_follicle(build, Spot(centre, radius), annotated=follicles and large)
    if organ or not build.structures:
        build.annotate('organ', outline, kind='ovary', echo='mixed', margin='smooth', posterior='none')


def add_kidney(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """A bean with dark cortex, darker pyramids and a bright middle."""
    rng = build.rng
    angle, elongation = rng.normal(0, 0.4), rng.uniform(1.6, 2.3)
    if rng.random() < 0.5:
        angle += np.pi
    outline = bean_outline(
        rng, spot.centre, spot.radius, elongation=elongation, angle=angle, notch=rng.uniform(0, 0.3)
    )
    cortex_db = build.canvas.local_echo_db(outline) - rng.uniform(3, 9)
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=cortex_db,
            texture_db=1.5,
            patches=6,
            softness=rng.uniform(0.03, 0.08),
            rim=rng.uniform(1, 5),
            rim_db=rng.uniform(2, 8),
            rim_width=0.05,
            edge_shadow=rng.uniform(0, 36),
        ),
    )
    inner = outline.scaled(0.78)
    for index in np.linspace(0, len(inner.radii), int(rng.integers(6, 11)), endpoint=False).astype(int):
        direction = 2 * np.pi * index / len(inner.radii)
        reach = 0.85 * inner.radii[index]
        centre = (
            spot.centre[0] + float(reach * np.cos(direction)),
            spot.centre[1] + float(reach * np.sin(direction)),
        )
        pyramid = ellipse_outline(centre, 0.13 * spot.radius, elongation=1.4, angle=float(direction))
        build.canvas.paint(rng, pyramid, Material(echo_db=cortex_db - rng.uniform(2, 8), softness=0.3))
    sinus = wavy_outline(
        rng,
        spot.centre,
        spot.radius * rng.uniform(0.38, 0.52),
        elongation=elongation * 1.2,
        angle=angle,
        waviness=0.12,
        orders=(2, 10),
    )
    build.canvas.paint(
        rng, sinus, Material(echo_db=rng.uniform(3, 9), texture_db=4, patches=8, softness=0.25)
    )
    if annotated:
        build.annotate('organ', outline, kind='kidney', echo='mixed', margin='smooth', posterior='none')


def add_gland(build: SceneBuilder, spot: Spot, *, kind: str, annotated: bool = True) -> RadialOutline:
    """A prostate-, thyroid- or uterus-like organ; the outline is returned for what lies in it."""
    rng = build.rng
    contrast = {'prostate': rng.uniform(-8, 0), 'thyroid': rng.uniform(3, 9), 'uterus': rng.uniform(-9, -3)}[
        kind
    ]
    elongation = {
        'prostate': rng.uniform(1.1, 1.6),
        'thyroid': rng.uniform(1.1, 2.0),
        'uterus': rng.uniform(1.4, 2.2),
    }[kind]
    angle = rng.normal(0, 0.35)
    outline = wavy_outline(rng, spot.centre, spot.radius, elongation=elongation, angle=angle, waviness=0.06)
    echo_db = build.canvas.local_echo_db(outline) + contrast
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=echo_db,
            texture_db=rng.uniform(0.8, 2.5),
            patches=5,
            softness=rng.uniform(0.03, 0.10),
            rim=rng.uniform(1, 5),
            rim_db=rng.uniform(2, 8),
            rim_width=0.05,
            edge_shadow=rng.uniform(0, 36),
            attenuation=rng.uniform(-3, 12),
        ),
    )
    if kind != 'thyroid':
        inner = wavy_outline(
            rng,
            spot.centre,
            spot.radius * rng.uniform(0.3, 0.6),
            elongation=elongation * 1.15,
            angle=angle,
            waviness=0.06,
        )
        lift = rng.uniform(4, 10) if kind == 'uterus' else -rng.uniform(2, 6)
        build.canvas.paint(
            rng,
            inner,
            Material(
                echo_db=echo_db + lift, texture_db=2.5, patches=6, softness=0.15, rim_db=rng.uniform(0, 5)
            ),
        )
    if annotated:
        build.annotate(
            'organ',
            outline,
            kind=kind,
            echo='hypoechoic' if contrast < 0 else 'hyperechoic',
            margin='smooth',
            posterior='none',
        )
    return outline


def add_vessel(build: SceneBuilder, spot: Spot, *, tube: bool, annotated: bool = True) -> None:
    """A vessel cut across (round) or along (a bent tube), dark with bright walls."""
    rng = build.rng
    outline: Outline
    if tube:
        width = spot.radius * rng.uniform(0.22, 0.45)
        length = spot.radius**2 * np.pi / (4 * width)
        outline = BandOutline(
            spot.centre,
            half_length=float(length),
            half_width=float(width),
            angle=float(rng.normal(0, 0.35)),
            bend=float(rng.normal(0, 0.25) * spot.radius),
        )
    else:
        outline = ellipse_outline(
            spot.centre, spot.radius, elongation=rng.uniform(1, 1.45), angle=rng.normal(0, 0.3)
        )
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=-rng.uniform(16, 38),
            texture_db=1.5,
            softness=rng.uniform(0.05, 0.15),
            attenuation=-rng.uniform(0, 20),
            rim=rng.uniform(2, 8),
            rim_db=rng.uniform(2, 9),
            rim_width=rng.uniform(0.06, 0.14),
            edge_shadow=rng.uniform(0, 54),
        ),
    )
    if annotated:
        build.annotate(
            'vessel',
            outline,
            kind='vessel_along' if tube else 'vessel_across',
            echo='anechoic',
            margin='smooth',
            posterior='enhancement',
        )


def add_nerve(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """A bundle of dark fascicles in bright connective tissue, or a chain of dark discs."""
    rng = build.rng
    honeycomb = rng.random() < 0.65
    outline = wavy_outline(
        rng,
        spot.centre,
        spot.radius,
        elongation=rng.uniform(1.1, 2.4),
        angle=rng.normal(0, 0.4),
        waviness=rng.uniform(0.04, 0.12),
    )
    local_db = build.canvas.local_echo_db(outline)
    echo_db = local_db + (rng.uniform(1, 7) if honeycomb else -rng.uniform(6, 12))
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=echo_db,
            texture_db=1.5,
            softness=rng.uniform(0.06, 0.18),
            rim=rng.uniform(0, 2),
            rim_db=rng.uniform(2, 7),
            rim_width=0.10,
        ),
    )
    inner = outline.scaled(0.93)
    if honeycomb:
        taken: list[tuple[tuple[float, float], float]] = []
        for _ in range(int(rng.integers(10, 40))):
            radius = spot.radius * rng.uniform(0.09, 0.19)
            centre = point_inside(build, inner, 0.88)
            if all(np.hypot(centre[0] - c[0], centre[1] - c[1]) > 0.95 * (radius + r) for c, r in taken):
                taken.append((centre, radius))
                fascicle = ellipse_outline(centre, radius, elongation=1.2, angle=0.0)
                build.canvas.paint(
                    rng, fascicle, Material(echo_db=echo_db - rng.uniform(8, 15), texture_db=0, softness=0.35)
                )
    elif rng.random() < 0.6:
        build.canvas.add_lines(rng, inner, gain_db=rng.uniform(6, 12), cells=rng.uniform(2, 4), width=0.2)
    if annotated:
        build.annotate(
            'nerve',
            outline,
            kind='nerve',
            echo='mixed' if honeycomb else 'hypoechoic',
            margin='smooth',
            posterior='none',
        )


def add_chamber(
    build: SceneBuilder,
    spot: Spot,
    *,
    elongation: float,
    angle: float,
    blood_db: float,
    annotated: bool = True,
) -> None:
    """A blood-filled heart chamber with bright, ragged inner walls."""
    rng = build.rng
    outline = wavy_outline(
        rng,
        spot.centre,
        spot.radius,
        elongation=elongation,
        angle=angle,
        waviness=rng.uniform(0.04, 0.10),
        orders=(2, 8),
        decay=0.9,
    )
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=blood_db,
            texture_db=3.0,
            patches=3,
            softness=rng.uniform(0.05, 0.16),
            rim=rng.uniform(0.5, 3),
            rim_db=rng.uniform(0, 4),
            rim_width=0.06,
        ),
    )
    if annotated:
        build.annotate('chamber', outline, kind='chamber', echo='anechoic', margin='smooth', posterior='none')


def add_head(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """A fetal head: a bright elliptic skull, brain with a midline, shadow at the sides."""
    rng = build.rng
    elongation, angle = rng.uniform(1.1, 1.45), rng.normal(0, 0.5)
    outline = ellipse_outline(spot.centre, spot.radius, elongation=elongation, angle=angle)
    brain_db = -rng.uniform(8, 17)
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=brain_db,
            texture_db=2.5,
            patches=8,
            softness=0.03,
            rim=rng.uniform(6, 16),
            rim_db=rng.uniform(9, 18),
            rim_width=rng.uniform(0.025, 0.055),
            edge_shadow=rng.uniform(30, 130),
            attenuation=rng.uniform(0, 12),
        ),
    )
    inner = outline.scaled(0.9)
    if rng.random() < 0.7:
        build.canvas.add_lines(rng, inner, gain_db=rng.uniform(4, 9), cells=rng.uniform(4, 8), width=0.18)
    if rng.random() < 0.75:
        midline = BandOutline(
            spot.centre,
            half_length=spot.radius * rng.uniform(0.5, 0.9),
            half_width=spot.radius * 0.018,
            angle=float(angle),
            bend=0.0,
        )
        build.canvas.paint(
            rng, midline, Material(echo_db=rng.uniform(0, 8), softness=0.2, rim=rng.uniform(1, 4))
        )
    for side in (-1, 1):
        if rng.random() < 0.5:
            shift = 0.3 * spot.radius * side
            ventricle = ellipse_outline(
                (
                    spot.centre[0] - float(shift * np.sin(angle)),
                    spot.centre[1] + float(shift * np.cos(angle)),
                ),
                spot.radius * rng.uniform(0.14, 0.24),
                elongation=2.2,
                angle=float(angle),
            )
            build.canvas.paint(rng, ventricle, Material(echo_db=brain_db - 10, softness=0.2, rim_db=4))
    if annotated:
        build.annotate('head', outline, kind='head', echo='mixed', margin='smooth', posterior='none')
