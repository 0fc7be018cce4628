"""What a reader gives for each frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Structure:
    """Pixels that one annotation marks as one category; components are taken later.

    Args:
        category: its name.
        mask: (H, W), bool.
    """

    category: str
    mask: np.ndarray


@dataclass(frozen=True)
class RawFrame:
    """A frame with its structures, upright or not, as the release stores it.

    Args:
        image: (H, W) or (H, W, 3), uint8, gray or RGB.
        structures: in the order of the annotations; their masks may overlap.
        index: number of the frame in its file, from 0; None for a file of one image.
        groups: groups of this frame beyond those of the item.
        stray: how many pixels of the masks had values that no rule names, by value.
        changed: how many masks were changed to fit, by what was done.
    """

    image: np.ndarray
    structures: tuple[Structure, ...]
    index: int | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    stray: Mapping[str, int] = field(default_factory=Counter)
    changed: Mapping[str, int] = field(default_factory=Counter)
