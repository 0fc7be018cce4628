"""Cysts, masses and follicles: each function paints one at a spot and enters it if asked to."""

from __future__ import annotations

import numpy as np

from ultrasam.simulation.builder import SceneBuilder, Spot, point_inside
from ultrasam.simulation.canvas import Material
from ultrasam.simulation.outlines import RadialOutline, ellipse_outline, spiked_outline, wavy_outline


def add_cyst(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """Fluid: black or hazy, smooth, brighter behind; now and then with septa or layered debris."""
    rng = build.rng
    angle, elongation = rng.normal(0, 0.5), rng.uniform(1.0, 1.7)
    if rng.random() < 0.4:
        outline = ellipse_outline(spot.centre, spot.radius, elongation=elongation, angle=angle)
    else:
        outline = wavy_outline(
            rng,
            spot.centre,
            spot.radius,
            elongation=elongation,
            angle=angle,
            waviness=rng.uniform(0.02, 0.10),
        )
    haze = rng.random()
    echo_db = -rng.uniform(28, 45) if haze < 0.65 else -rng.uniform(12, 20)
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=echo_db,
            texture_db=rng.uniform(0.5, 2.0),
            softness=rng.uniform(0.02, 0.09),
            attenuation=-rng.uniform(3, 25),
            rim=rng.uniform(0.5, 5),
            rim_db=rng.uniform(0, 5),
            rim_width=rng.uniform(0.02, 0.06),
            edge_shadow=rng.uniform(0, 72),
        ),
    )
    if rng.random() < 0.25:
        _add_debris(build, outline, spot, echo_db)
    if annotated:
        build.annotate(
            'cyst',
            outline,
            kind='cyst',
            echo='anechoic' if haze < 0.65 else 'hypoechoic',
            margin='smooth',
            posterior='enhancement',
            diagnosis='benign',
        )


def _add_debris(build: SceneBuilder, outline: RadialOutline, spot: Spot, echo_db: float) -> None:
    """A level of sediment at the far wall of a cyst."""
    rng = build.rng
    sediment = outline.scaled(1.0, shift=(0.0, spot.radius * rng.uniform(0.7, 1.2)))
    build.canvas.paint(
        rng, sediment, Material(echo_db=echo_db + rng.uniform(8, 22), softness=0.04), within=outline
    )


_MARGINS = ('smooth', 'lobulated', 'irregular', 'spiculated', 'indistinct')
MARGIN_WAVES: dict[str, tuple[float, tuple[int, int], float]] = {
    'smooth': (0.04, (2, 4), 1.0),
    'lobulated': (0.09, (3, 6), 0.6),
    'irregular': (0.14, (2, 12), 1.1),
    'spiculated': (0.10, (2, 10), 1.1),
    'indistinct': (0.10, (2, 8), 1.0),
}
"""By margin: strength, lowest and highest order, and decay of the waves of an outline."""
_MARGIN_POINTS = {'smooth': 0, 'lobulated': 1, 'irregular': 2, 'spiculated': 3, 'indistinct': 1}


def _mass_outline(build: SceneBuilder, spot: Spot, margin: str) -> tuple[RadialOutline, bool]:
    """Draw the outline of a mass; also whether it is taller than wide."""
    rng = build.rng
    taller = margin != 'smooth' and rng.random() < 0.4
    elongation = rng.uniform(1.05, 1.9)
    angle = rng.normal(np.pi / 2 if taller else 0.0, 0.3)
    waviness, orders, decay = MARGIN_WAVES[margin]
    outline = wavy_outline(
        rng,
        spot.centre,
        spot.radius,
        elongation=elongation,
        angle=angle,
        waviness=waviness * rng.uniform(0.6, 1.3),
        orders=orders,
        decay=decay,
    )
    return outline, taller


def add_solid_mass(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """A solid mass: darker, like or brighter than its surroundings, sometimes no more than a rim."""
    rng = build.rng
    margin = str(rng.choice(_MARGINS, p=(0.28, 0.18, 0.24, 0.16, 0.14)))
    body, taller = _mass_outline(build, spot, margin)
    outline = body
    if margin == 'spiculated':
        outline = spiked_outline(rng, body, count=int(rng.integers(6, 16)), height=rng.uniform(0.12, 0.3))
    echo = str(rng.choice(('hypoechoic', 'isoechoic', 'hyperechoic'), p=(0.70, 0.18, 0.12)))
    contrast = {
        'hypoechoic': -rng.uniform(3.5, 17),
        'isoechoic': rng.uniform(-2.5, 2.5),
        'hyperechoic': rng.uniform(5, 11),
    }[echo]
    draw = rng.random()
    risky = _MARGIN_POINTS[margin] >= 2
    posterior = 'shadow' if draw < (0.65 if risky else 0.12) else 'enhancement' if draw > 0.75 else 'none'
    attenuation = {'shadow': rng.uniform(18, 70), 'enhancement': -rng.uniform(5, 20), 'none': 0.0}[posterior]
    soft = rng.uniform(0.12, 0.28) if margin == 'indistinct' else rng.uniform(0.02, 0.10)
    rimmed = echo == 'isoechoic' or rng.random() < 0.35
    halo = -rng.uniform(6, 12) if rng.random() < 0.4 else rng.uniform(5, 10)
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=build.canvas.local_echo_db(outline) + contrast,
            texture_db=rng.uniform(0.8, 3.0),
            patches=rng.uniform(3, 9),
            softness=soft,
            attenuation=attenuation,
            rim=rng.uniform(0.5, 3) if margin == 'smooth' else 0.0,
            rim_db=halo if rimmed else 0.0,
            rim_width=rng.uniform(0.03, 0.08),
            edge_shadow=rng.uniform(0, 54) if margin == 'smooth' else 0.0,
        ),
    )
    if rng.random() < 0.25:
        build.canvas.add_lines(rng, body, gain_db=rng.uniform(4, 10), cells=rng.uniform(3, 7), width=0.15)
    calcified = rng.random() < 0.2
    if calcified:
        add_specks(build, body, int(rng.integers(3, 14)))
    points = (
        _MARGIN_POINTS[margin]
        + int(posterior == 'shadow')
        + int(taller)
        + int(calcified and echo == 'hypoechoic')
    )
    if annotated:
        build.annotate(
            'solid_mass',
            body if margin == 'spiculated' else outline,
            kind='solid_mass',
            echo=echo,
            margin=margin,
            posterior=posterior,
            diagnosis='malignant' if points >= 3 else 'benign',
        )


def add_specks(build: SceneBuilder, body: RadialOutline, count: int) -> None:
    """Small bright calcifications."""
    for _ in range(count):
        spot = point_inside(build, body, 0.7)
        speck = ellipse_outline(spot, build.rng.uniform(0.004, 0.008), elongation=1.4, angle=0.0)
        build.canvas.paint(
            build.rng,
            speck,
            Material(echo_db=build.rng.uniform(8, 18), texture_db=0, softness=0.5, attenuation=40),
        )


def add_complex_mass(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """Fluid with solid parts, septa or nodules; or a solid mass with fluid in it."""
    rng = build.rng
    margin = str(rng.choice(('smooth', 'lobulated', 'irregular'), p=(0.5, 0.3, 0.2)))
    outline, _ = _mass_outline(build, spot, margin)
    fluid_db = -rng.uniform(13, 40)
    solid_db = build.canvas.local_echo_db(outline) + rng.uniform(-8, 5)
    mostly_solid = rng.random() < 0.35
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=solid_db if mostly_solid else fluid_db,
            texture_db=rng.uniform(1, 3),
            patches=5,
            softness=rng.uniform(0.02, 0.07),
            attenuation=rng.uniform(-15, 8),
            rim=rng.uniform(0.5, 4),
            rim_db=rng.uniform(1, 7),
            rim_width=rng.uniform(0.03, 0.07),
            edge_shadow=rng.uniform(0, 48),
        ),
    )
    nodules = int(rng.integers(1, 4)) if mostly_solid or rng.random() < 0.7 else 0
    add_parts(build, outline, spot, nodules, echo_db=fluid_db if mostly_solid else solid_db)
    septa = not mostly_solid and (nodules == 0 or rng.random() < 0.5)
    if septa:
        build.canvas.add_lines(
            rng, outline, gain_db=rng.uniform(12, 26), cells=rng.uniform(1, 4), width=rng.uniform(0.08, 0.2)
        )
    if annotated:
        points = _MARGIN_POINTS[margin] + int(nodules >= 2) + int(mostly_solid)
        build.annotate(
            'complex_mass',
            outline,
            kind='septated_cyst' if nodules == 0 else 'mixed_mass',
            echo='mixed',
            margin=margin,
            posterior='none',
            diagnosis='malignant' if points >= 2 else 'benign',
        )


def add_parts(build: SceneBuilder, outline: RadialOutline, spot: Spot, count: int, *, echo_db: float) -> None:
    """Solid nodules in fluid, or fluid spaces in a solid mass."""
    rng = build.rng
    for _ in range(count):
        size = spot.radius * rng.uniform(0.22, 0.55)
        part = wavy_outline(
            rng,
            point_inside(build, outline, 0.9),
            size,
            elongation=rng.uniform(1, 1.8),
            angle=rng.uniform(0, np.pi),
            waviness=rng.uniform(0.04, 0.16),
        )
        build.canvas.paint(
            rng,
            part,
            Material(
                echo_db=echo_db,
                texture_db=2.0,
                softness=0.08,
                rim_db=rng.uniform(0, 4),
            ),
            within=outline,
        )


def add_follicle(build: SceneBuilder, spot: Spot, *, annotated: bool = True) -> None:
    """A small round fluid space."""
    rng = build.rng
    outline = ellipse_outline(
        spot.centre, spot.radius, elongation=rng.uniform(1, 1.5), angle=rng.uniform(0, np.pi)
    )
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=-rng.uniform(20, 40),
            texture_db=1,
            softness=rng.uniform(0.08, 0.2),
            attenuation=-rng.uniform(5, 30),
            rim=rng.uniform(0.5, 3),
            rim_db=rng.uniform(0, 4),
            rim_width=0.1,
        ),
    )
    if annotated:
        build.annotate(
            'follicle', outline, kind='follicle', echo='anechoic', margin='smooth', posterior='enhancement'
        )
