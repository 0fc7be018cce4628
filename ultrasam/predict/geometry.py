"""From an image to the square input of the network, and from mask logits back to masks of the image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MASK_UPSAMPLINGS = ('binary', 'logits')


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


def masks_at_image_size(logits: np.ndarray, geometry: ImageGeometry, upsampling: str) -> np.ndarray:
    """Return masks at the size of the original image.

    Args:
        logits: Mask logits (N, h, h), float, over the padded network input.
        geometry: Sizes of the image.
        upsampling: ``'logits'`` interpolates the logits bilinearly to the padded input, crops, interpolates to the
            image and thresholds last. ``'binary'`` thresholds first and keeps each pixel that either interpolation
            leaves above zero, as the published figures were made; this dilates.

    Returns:
        Masks (N, H, W), bool.
    """
    enlarge = _enlarged_binary if upsampling == 'binary' else _enlarged_logits
    masks = np.zeros((len(logits), *geometry.original_hw), bool)
    for mask, of_one in zip(masks, logits, strict=True):
        mask[:] = enlarge(np.asarray(of_one, np.float32), geometry)
    return masks


def _enlarged_logits(logits: np.ndarray, geometry: ImageGeometry) -> np.ndarray:
    for size_hw, crop_hw in (
        ((geometry.input_size,) * 2, geometry.resized_hw),
        (geometry.original_hw, geometry.original_hw),
    ):
        if logits.shape != size_hw:
            logits = cv2.resize(logits, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
        logits = np.ascontiguousarray(logits[: crop_hw[0], : crop_hw[1]])
    return logits > 0


def _enlarged_binary(logits: np.ndarray, geometry: ImageGeometry) -> np.ndarray:
    """Take a pixel where any value that it is interpolated from is positive: no interpolation is needed for that."""
    mask = logits > 0
    for size_hw, crop_hw in (
        ((geometry.input_size,) * 2, geometry.resized_hw),
        (geometry.original_hw, geometry.original_hw),
    ):
        rows = _sources(mask.shape[0], size_hw[0])[:, : crop_hw[0]]
        columns = _sources(mask.shape[1], size_hw[1])[:, : crop_hw[1]]
        mask = mask[rows[0]] | mask[rows[1]]
        mask = mask[:, columns[0]] | mask[:, columns[1]]
    return mask


def _sources(count: int, resized: int) -> np.ndarray:
    """Return the two source indices (2, resized) of bilinear interpolation; equal where one of them weighs nothing.

    The positions are computed in float32 like those of ``torch.nn.functional.interpolate``, since a weight of
    exactly zero decides about a pixel.
    """
    scale = np.float32(count) / np.float32(resized)
    position = (np.arange(resized, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    position = np.maximum(position, np.float32(0))
    first = np.minimum(position.astype(np.int64), count - 1)
    weight = np.minimum(position - first.astype(np.float32), np.float32(1))
    second = np.where(weight > 0, np.minimum(first + 1, count - 1), first)
    return np.stack([np.where(weight < 1, first, second), second])
