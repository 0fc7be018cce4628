"""Flips and resizes of images other than by mmdet's transforms."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms.base import BaseTransform
from mmdet.datasets.transforms import RandomFlip
from mmdet.registry import TRANSFORMS
from scipy import ndimage

from ultrasam.errors import ConfigError

# codes of OpenCV
_FLIPS = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}


@TRANSFORMS.register_module()
class ContiguousRandomFlip(RandomFlip):
    """mmdet's ``RandomFlip``, same draws and pixels, which leaves the image in the order of memory.

    mmdet leaves a reversed view, which OpenCV must copy element by element
    before it can resize it.
    """

    def _flip(self, results: dict) -> None:
        image = results['img']
        super()._flip(results)
        results['img'] = flipped(image, results['flip_direction'])


def flipped(image: np.ndarray, direction: str) -> np.ndarray:
    """An image mirrored ``'horizontal'``, ``'vertical'`` or ``'diagonal'``, in the order of memory."""
    return np.asarray(cv2.flip(image, _FLIPS[direction]))


@TRANSFORMS.register_module()
class SquareSplineResize(BaseTransform):
    """Squeezes an image to a square by cubic splines, as the images of MedSAM were prepared.

    Where it shrinks, the image is blurred first. Grey values are truncated, not rounded.

    Required and changed key: ``img``, (H, W) or (H, W, C), uint8.
    Added keys: ``img_shape``, ``scale_factor`` (x, y), ``keep_ratio``.

    Args:
        size: side of the square in pixels.

    Raises:
        ConfigError: a side that is not positive, or an image of another type.
    """

    def __init__(self, *, size: int) -> None:
        if size < 1:
            raise ConfigError(f'SquareSplineResize: size={size}: give a side in pixels, 1024 for MedSAM')
        self.size = size

    def transform(self, results: dict) -> dict:
        """Resize the image of the results."""
        image = results['img']
        if image.dtype != np.uint8:
            raise ConfigError(f'SquareSplineResize takes uint8 images, this one is {image.dtype}: load it so')
        height, width = image.shape[:2]
        results['img'] = square_spline(image, self.size)
        results['img_shape'] = (self.size, self.size)
        results['scale_factor'] = (self.size / width, self.size / height)
        results['keep_ratio'] = False
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'


def square_spline(image: np.ndarray, size: int) -> np.ndarray:
    """An image (H, W) or (H, W, C), uint8, as (size, size) or (size, size, C), uint8."""
    if image.ndim == 3:
        first = square_spline(image[..., 0], size)
        # channels of a grey picture are equal, and splines are slow
        channels = [
            first if np.array_equal(image[..., c], image[..., 0]) else square_spline(image[..., c], size)
            for c in range(image.shape[2])
        ]
        return np.stack(channels, -1)
    factors = np.divide(image.shape, size)
    smooth = ndimage.gaussian_filter(
        image.astype(np.float64), np.maximum(0, (factors - 1) / 2), mode='mirror'
    )
    resized = ndimage.zoom(smooth, 1 / factors, order=3, mode='mirror', grid_mode=True)
    # a spline overshoots at edges
    return resized.clip(image.min(), image.max()).astype(np.uint8)
