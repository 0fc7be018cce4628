"""What a simulated frame is, what may be asked of it and which categories it can hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ultrasam.errors import ConfigError
from ultrasam.simulation.lesion_classes import LESION_SETS

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
        lesions: One of ``LESION_SETS``: the frame shows lesions of its classes and nothing else is annotated;
            ``None`` draws any structures of the anatomy.
        most_lesions: With ``lesions``, how many lesions a frame shows at most.

    Raises:
        ConfigError: On an unknown scene or set of lesions, lesions together with a scene, no lesion, or a side below
            64 px.
    """

    size: int = 256
    scene: str | None = None
    overlays: bool = True
    colour: bool | None = None
    lesions: str | None = None
    most_lesions: int = 1

    @property
    def categories(self) -> tuple[str, ...]:
        """What structures of the frame may be called, in the order of their COCO ids from 1 on."""
        if self.lesions is None:
            return CATEGORIES
        return tuple(one.name for one in LESION_SETS[self.lesions])

    def __post_init__(self) -> None:
        """Check the values."""
        if self.size < MIN_LONG_SIDE_PX:
            raise ConfigError(f'size={self.size}: the long side must have at least {MIN_LONG_SIDE_PX} px.')
        if self.scene is not None and self.scene not in SCENES:
            raise ConfigError(f'scene={self.scene!r} is unknown; choose one of {", ".join(SCENES)}.')
        if self.lesions is not None and self.lesions not in LESION_SETS:
            raise ConfigError(f'lesions={self.lesions!r} is unknown; choose one of {", ".join(LESION_SETS)}.')
        if self.lesions is not None and self.scene is not None:
            raise ConfigError(f'lesions={self.lesions!r} and scene={self.scene!r}: give one of the two.')
        if self.most_lesions < 1:
            raise ConfigError(f'most_lesions={self.most_lesions}: a frame shows at least one lesion.')


@dataclass(frozen=True)
class SimulatedFrame:
    """One frame with its annotation.

    Attributes:
        image: ``(H, W)`` or ``(H, W, 3)`` RGB, uint8.
        masks: ``(N, H, W)`` bool, the pixels of each structure within the field of view.
        categories: One name of ``SimulationSettings.categories`` an instance.
        attributes: One mapping an instance (kind, echo, margin, posterior, diagnosis, ellipse).
        meta: Scene, probe, depth in mm, gain, dynamic range and frequency of the frame.
    """

    image: np.ndarray
    masks: np.ndarray
    categories: tuple[str, ...]
    attributes: tuple[dict[str, Any], ...]
    meta: dict[str, Any] = field(default_factory=dict)
