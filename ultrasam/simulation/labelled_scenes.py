"""Frames for classification: tissue with lesions of given classes, and structures that nobody annotated."""

from __future__ import annotations

from ultrasam.simulation.arrangement import add_any_vessel
from ultrasam.simulation.builder import SceneBuilder, Spot
from ultrasam.simulation.canvas import Material
from ultrasam.simulation.lesion_classes import LesionClass, Range
from ultrasam.simulation.lesions import MARGIN_WAVES, add_follicle, add_parts, add_specks
from ultrasam.simulation.outlines import RadialOutline, spiked_outline, wavy_outline
from ultrasam.simulation.shallow_scenes import paint_any_tissue, paint_breast_tissue

_TISSUES = {'breast': paint_breast_tissue, 'phantom': paint_any_tissue}
LABELLED_SCENES: tuple[str, ...] = tuple(_TISSUES)
"""Names of the anatomies that such frames show."""


def paint_labelled_scene(build: SceneBuilder, scene: str, lesions: list[LesionClass]) -> None:
    """Paint tissue, lesions, and up to two small structures; all but the look of a lesion is drawn alike.

    Args:
        build: With nothing painted.
        scene: One of ``LABELLED_SCENES``.
        lesions: The class of each lesion.
    """
    _TISSUES[scene](build)
    share = 0.11 / len(lesions) ** 0.6
    for kind in lesions:
        spot = build.find_spot(build.draw_share(share, 0.45, least=0.02, most=0.26), depths=(0.15, 0.75))
        if spot is not None:
            add_lesion(build, spot, kind)
    for _ in range(int(build.rng.integers(0, 3))):
        spot = build.find_spot(
            build.draw_share(0.008, 0.6, least=0.001, most=0.02), depths=(0.05, 0.95), crowding=1.25
        )
        if spot is not None:
            adder = (add_any_vessel, add_follicle)[int(build.rng.integers(2))]
            adder(build, spot, annotated=False)


def add_lesion(build: SceneBuilder, spot: Spot, kind: LesionClass) -> None:
    """Paint a lesion of a class and annotate it."""
    rng = build.rng
    margin = str(rng.choice(list(kind.margins), p=list(kind.margins.values())))
    body = _body(build, spot, margin)
    outline = body
    if margin == 'spiculated':
        outline = spiked_outline(rng, body, count=int(rng.integers(6, 16)), height=rng.uniform(0.15, 0.35))
    draw = rng.random()
    posterior = 'shadow' if draw < kind.shadow else 'enhancement' if draw > 1 - kind.enhancement else 'none'
    attenuation = {'shadow': rng.uniform(20, 60), 'enhancement': -rng.uniform(5, 20), 'none': 0.0}[posterior]
    around_db = build.canvas.local_echo_db(outline)
    # what the beam loses half-way down is made up for: else a lesion with a shadow would be known by its dark inside
    echo_db = _draw(build, kind.echo_db) + (0.0 if kind.is_fluid else around_db + attenuation * spot.radius)
    capsule = rng.uniform(4, 9) if rng.random() < kind.capsule else 0.0
    build.canvas.paint(
        rng,
        outline,
        Material(
            echo_db=echo_db,
            texture_db=_draw(build, kind.texture_db),
            patches=_draw(build, kind.patches),
            softness=rng.uniform(0.15, 0.32) if margin == 'indistinct' else rng.uniform(0.02, 0.10),
            attenuation=attenuation,
            rim_db=capsule,
            rim_width=rng.uniform(0.03, 0.07),
            edge_shadow=rng.uniform(0, 50) if margin == 'smooth' else 0.0,
        ),
    )
    inside = _add_contents(build, body, spot, kind, solid_db=around_db + rng.uniform(-10, 2))
    build.annotate(
        kind.name,
        body,
        kind=kind.name,
        margin=margin,
        posterior=posterior,
        capsule=capsule > 0,
        contents=inside,
    )


def _add_contents(
    build: SceneBuilder, body: RadialOutline, spot: Spot, kind: LesionClass, *, solid_db: float
) -> list[str]:
    """Paint what the class may hold; the names of what it holds."""
    rng = build.rng
    inside = []
    if rng.random() < kind.nodules:
        inside.append('nodules')
        echo_db = solid_db if kind.is_fluid else -rng.uniform(13, 40)
        add_parts(build, body, spot, int(rng.integers(1, 4)), echo_db=echo_db)
    if rng.random() < kind.septa:
        inside.append('septa')
        gain_db = rng.uniform(12, 26) if kind.is_fluid else rng.uniform(4, 10)
        build.canvas.add_lines(
            rng, body, gain_db=gain_db, cells=rng.uniform(2, 5), width=rng.uniform(0.1, 0.2)
        )
    if rng.random() < kind.specks:
        inside.append('specks')
        add_specks(build, body, int(rng.integers(3, 12)))
    return inside


def _body(build: SceneBuilder, spot: Spot, margin: str) -> RadialOutline:
    """The outline of a lesion without its spikes."""
    waviness, orders, decay = MARGIN_WAVES[margin]
    rng = build.rng
    return wavy_outline(
        rng,
        spot.centre,
        spot.radius,
        elongation=rng.uniform(1.05, 1.8),
        angle=rng.normal(0, 0.5),
        waviness=waviness * rng.uniform(0.7, 1.4),
        orders=orders,
        decay=decay,
    )


def _draw(build: SceneBuilder, limits: Range) -> float:
    return float(build.rng.uniform(*limits))
