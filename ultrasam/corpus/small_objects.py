"""Which objects are too small to learn from. The rule is this project's own; see :class:`SmallObjects`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ultrasam.errors import ConfigError

# The longer side of the image as the model sees it.
MODEL_SIDE = 1024


@dataclass(frozen=True)
class SmallObjects:
    """The rule by which objects are dropped from files called ``noSmall``.

    An object is small if either holds:

    - It has fewer than ``min_pixels`` pixels of its image. Slips of a label tool and the soft edges of resampled
      masks leave specks of 1 to 9 pixels; nothing of less than 3 x 3 pixels can be told from speckle.
    - It has fewer than ``min_model_pixels`` pixels once the image is scaled to 1024 pixels, which is how the model
      sees it. The mask decoder draws on a grid of 4 x 4 pixels, so that 64 pixels are 2 x 2 of its cells: below
      that a mask has no shape, and one cell more or less changes its overlap by a quarter.

    The threshold behind the published files is not known. Give zeros to keep everything.

    Args:
        min_pixels: smallest object in pixels of its image.
        min_model_pixels: smallest object in pixels of the image scaled to a longer side of 1024.
    """

    min_pixels: float = 9
    min_model_pixels: float = 64

    def __post_init__(self) -> None:
        """See that the numbers make sense."""
        if self.min_pixels < 0 or self.min_model_pixels < 0:
            raise ConfigError(f'{self}: give zero or more pixels')

    def is_small(self, area: float, height: int, width: int) -> bool:
        """Whether an object of this area is small in an image of this size, all in pixels."""
        scale = MODEL_SIDE / max(height, width)
        return area < self.min_pixels or area * scale * scale < self.min_model_pixels

    def as_dict(self) -> Mapping[str, Any]:
        """For the ``info`` of a COCO file."""
        return asdict(self)


STANDARD_RULE = SmallObjects()
