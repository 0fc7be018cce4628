"""Where an image lies in the square input of the network."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class ImageGeometry:
    """Sizes of an image on its way into the network, which pads the resized image right and bottom.

    Args:
        original_hw: Height and width of the image in pixels.
        resized_hw: Height and width of the resized image in pixels.
        input_size: Side of the padded network input in pixels.
    """

    original_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    input_size: int

    @classmethod
    def of_image(cls, original_hw: tuple[int, int], input_size: int) -> ImageGeometry:
        """Return the geometry of an image whose longer side becomes the input size, as published (truncating)."""
        height, width = original_hw
        scale = min(input_size / max(height, width), input_size / min(height, width))
        return cls((height, width), (max(1, int(height * scale)), max(1, int(width * scale))), input_size)

    @property
    def scale_xy(self) -> np.ndarray:
        """Factors (2,), float64, from pixels of the image to pixels of the resized image, along x and y."""
        return np.array(self.resized_hw[::-1], np.float64) / np.array(self.original_hw[::-1], np.float64)

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Resize an image (H, W, 3), uint8, to ``resized_hw``, bilinearly."""
        return cv2.resize(image, self.resized_hw[::-1], interpolation=cv2.INTER_LINEAR)
