"""What a simulated frame is, what may be asked of it and which categories it can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ultrasam.errors import ConfigError

CATEGORIES: tuple[str, ...] = (
    'cyst',
    'solid_mass',
    'complex_mass',
    'follicle',
    'organ',
    'vessel',
    'nerve',
    'chamber',
    'head',
)
"""Category names; the COCO id of a name is its place in this list, counted from 1."""

SCENES: tuple[str, ...] = (
    'breast',
    'pelvis',
    'abdomen',
    'neck',
    'nerve',
    'heart',
    'fetus',
    'phantom',
)
"""Names of the anatomies a frame can show."""

MIN_LONG_SIDE_PX = 64


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """What is fixed about a frame; all else is drawn from its seed.

    Attributes:
        size: Long side of the frame in pixels.
        scene: One of ``SCENES``, or ``None`` to draw it.
        overlays: Whether text, rulers, callipers and frames may be drawn on the image.
        colour: ``True`` always gives RGB, ``False`` always gray, ``None`` RGB where an overlay is coloured.

    Raises:
        ConfigError: On an unknown scene or a side below 64 px.
    """

    size: int = 256
    scene: str | None = None
    overlays: bool = True
    colour: bool | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.size < MIN_LONG_SIDE_PX:
            raise ConfigError(f'size={self.size}: the long side must have at least {MIN_LONG_SIDE_PX} px.')
        if self.scene is not None and self.scene not in SCENES:
            raise ConfigError(f'scene={self.scene!r} is unknown; choose one of {", ".join(SCENES)}.')


@dataclass(frozen=True)
class SimulatedFrame:
    """One frame with its annotation.

    Attributes:
        image: ``(H, W)`` or ``(H, W, 3)`` RGB, uint8.
        masks: ``(N, H, W)`` bool, the pixels of each structure within the field of view.
        categories: One name of ``CATEGORIES`` an instance.
        attributes: One mapping an instance (kind, echo, margin, posterior, diagnosis, ellipse).
        meta: Scene, probe, depth in mm, gain, dynamic range and frequency of the frame.
    """

    image: np.ndarray
    masks: np.ndarray
    categories: tuple[str, ...]
    attributes: tuple[dict[str, Any], ...]
    meta: dict[str, Any] = field(default_factory=dict)
