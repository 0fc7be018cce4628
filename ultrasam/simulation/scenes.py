"""The anatomies a frame can show, how often, and through which probes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ultrasam.simulation.builder import SceneBuilder
from ultrasam.simulation.deep_scenes import paint_abdomen, paint_fetus, paint_heart, paint_pelvis
from ultrasam.simulation.shallow_scenes import paint_breast, paint_neck, paint_nerve, paint_phantom


@dataclass(frozen=True)
class Scene:
    """How often an anatomy is drawn, through which probes it is seen, and what paints it."""

    weight: float
    probes: tuple[str, ...]
    depth_mm: tuple[float, float]
    frequency_mhz: tuple[float, float]
    paint: Callable[[SceneBuilder], None]


SCENE_TABLE: dict[str, Scene] = {
    'breast': Scene(0.22, ('linear',), (28, 55), (7, 14), paint_breast),
    'pelvis': Scene(0.22, ('endocavity', 'endocavity', 'convex'), (60, 140), (3, 8), paint_pelvis),
    'abdomen': Scene(0.14, ('convex',), (90, 200), (2, 5), paint_abdomen),
    'neck': Scene(0.11, ('linear',), (30, 50), (7, 14), paint_neck),
    'nerve': Scene(0.09, ('linear',), (20, 45), (8, 15), paint_nerve),
    'heart': Scene(0.06, ('phased',), (120, 200), (1.5, 4), paint_heart),
    'fetus': Scene(0.06, ('convex',), (80, 170), (2, 5), paint_fetus),
    'phantom': Scene(0.11, ('linear', 'convex', 'endocavity', 'phased'), (30, 180), (2, 12), paint_phantom),
}
