"""One frame from one seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ultrasam.errors import ConfigError, UltraSamError
from ultrasam.simulation.builder import SceneBuilder, Structure
from ultrasam.simulation.frame import SCENES, SimulatedFrame, SimulationSettings
from ultrasam.simulation.geometry import FieldOfView, draw_field_of_view
from ultrasam.simulation.imaging import draw_machine, form_image
from ultrasam.simulation.labelled_scenes import LABELLED_SCENES, paint_labelled_scene
from ultrasam.simulation.lesion_classes import LESION_SETS, LesionClass
from ultrasam.simulation.outlines import Outline
from ultrasam.simulation.overlays import draw_overlays
from ultrasam.simulation.scenes import SCENE_TABLE

_ATTEMPTS = 20
_LEAST_SHARE = 0.0005
_LEAST_SEEN = 0.5
_NESTED_SHARE = 0.8
_DEFAULTS = SimulationSettings()


def simulate_frame(seed: int, *, settings: SimulationSettings = _DEFAULTS) -> SimulatedFrame:
    """Simulate one annotated frame; equal arguments give equal bytes.

    Args:
        seed: Any non-negative integer.
        settings: What is not left to chance.

    Returns:
        The frame with at least one and mostly one to six annotated structures.

    Raises:
        ConfigError: If the seed is negative.
    """
    if seed < 0:
        raise ConfigError(f'seed={seed}: a seed must not be negative.')
    for attempt in range(_ATTEMPTS):
        rng = np.random.Generator(np.random.PCG64([seed, attempt]))
        frame = _attempt_frame(rng, settings, _draw_lesions(seed, settings))
        if frame is not None:
            return frame
    raise UltraSamError(f'No structure could be placed for seed={seed} and {settings}; use another seed.')


def _draw_lesions(seed: int, settings: SimulationSettings) -> list[LesionClass]:
    """The classes of the lesions of a frame, which a failed attempt does not draw anew: it would favour some."""
    if settings.lesions is None:
        return []
    rng = np.random.Generator(np.random.PCG64([seed, 0, 1]))
    classes = LESION_SETS[settings.lesions]
    count = int(rng.integers(1, settings.most_lesions + 1))
    return [classes[int(rng.integers(len(classes)))] for _ in range(count)]


def _attempt_frame(
    rng: np.random.Generator, settings: SimulationSettings, lesions: list[LesionClass]
) -> SimulatedFrame | None:
    """Simulate a frame, or ``None`` where no structure, or not every lesion, ended up in view."""
    names = LABELLED_SCENES if lesions else SCENES
    weights = np.array([SCENE_TABLE[name].weight for name in names])
    drawn = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    name = settings.scene or drawn
    scene = SCENE_TABLE[name]
    view = draw_field_of_view(rng, scene.probes[int(rng.integers(len(scene.probes)))], settings.size)
    build = SceneBuilder.empty(rng, view)
    if lesions:
        paint_labelled_scene(build, name, lesions)
    else:
        scene.paint(build)
    masks = _visible_masks([_annotate(rng, view, item.outline) for item in build.structures])
    labelled = [
        (item, mask)
        for item, mask in zip(build.structures, masks, strict=True)
        if _is_worth_a_label(item.outline, mask, view)
    ]
    if not labelled or len(labelled) < len(lesions):
        return None
    machine = draw_machine(rng, build.canvas.grid.shape[0])
    beams, gain_db = form_image(rng, build.canvas, machine)
    gray = view.scan_convert(beams)
    image = np.floor(gray * 255 + 0.5).astype(np.uint8)
    depth_mm = rng.uniform(*scene.depth_mm)
    structures = [item for item, _ in labelled]
    if settings.overlays:
        image = draw_overlays(
            rng,
            image,
            view,
            [item.outline for item in structures],
            depth_mm=depth_mm,
            allow_colour=settings.colour is not False,
        )
    if settings.colour and image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    meta = {
        'scene': name,
        'probe': view.probe,
        'depth_mm': round(depth_mm, 1),
        'gain_db': round(gain_db, 2),
        'dynamic_range_db': round(machine.dynamic_range_db, 1),
        'frequency_mhz': round(rng.uniform(*scene.frequency_mhz), 1),
    }
    return SimulatedFrame(
        image=image,
        masks=np.stack([mask for _, mask in labelled]),
        categories=tuple(item.category for item in structures),
        attributes=tuple(_attributes(item, view) for item in structures),
        meta=meta,
    )


def _annotate(rng: np.random.Generator, view: FieldOfView, outline: Outline) -> np.ndarray:
    """The mask an annotator would draw, within the field of view and slightly outside the edge."""
    size = 2 * outline.equivalent_radius
    margin = size * float(np.clip(rng.normal(0.014, 0.006), 0.003, 0.03)) + 0.5 / view.scale
    rows, columns = view.pixel_window(outline.centre, outline.reach + 2 * margin)
    x, y = view.pixel_points(rows, columns)
    mask = np.zeros(view.size_hw, dtype=bool)
    mask[rows, columns] = outline.distance(x, y) <= margin
    return mask & view.visible


def _visible_masks(masks: list[np.ndarray]) -> list[np.ndarray]:
    """Take from each mask what a later structure hides; what lies inside a structure stays part of it."""
    visible = [mask.copy() for mask in masks]
    for later, hiding in enumerate(masks):
        for earlier in range(later):
            shared = int((masks[earlier] & hiding).sum())
            if 0 < shared < _NESTED_SHARE * min(int(masks[earlier].sum()), int(hiding.sum())):
                visible[earlier] &= ~hiding
    return visible


def _is_worth_a_label(outline: Outline, mask: np.ndarray, view: FieldOfView) -> bool:
    """Whether enough of a structure is in view."""
    whole = np.pi * (outline.equivalent_radius * view.scale) ** 2
    return int(mask.sum()) >= max(_LEAST_SHARE * mask.size, _LEAST_SEEN * whole)


def _attributes(item: Structure, view: FieldOfView) -> dict[str, Any]:
    """The attributes of a structure with its ellipse (if it is one) in pixels."""
    attributes: dict[str, Any] = {
        'kind': None,
        'echo': None,
        'margin': None,
        'posterior': None,
        'diagnosis': None,
    }
    attributes.update(item.attributes)
    ellipse = item.outline.ellipse
    attributes['ellipse'] = (
        None
        if ellipse is None
        else {
            'centre_xy_px': [round(view.origin_xy[i] + ellipse.centre[i] * view.scale, 2) for i in (0, 1)],
            'half_axes_px': [round(axis * view.scale, 2) for axis in ellipse.half_axes],
            'angle_deg': round(float(np.degrees(ellipse.angle)) % 180, 2),
        }
    )
    return attributes
