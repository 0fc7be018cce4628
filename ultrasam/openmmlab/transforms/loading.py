"""Loading of images, with or without a cache of their pixels, and of annotations with masks that may be missing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.registry import TRANSFORMS

from ultrasam.errors import AnnotationError
from ultrasam.masks.segmentation import MaskFault, decode_segmentation, find_fault, runs_of_rle
from ultrasam.openmmlab.transforms.cropped_masks import CroppedMask, CroppedMasks
from ultrasam.openmmlab.transforms.pixel_cache import PixelCache, one_channel


@TRANSFORMS.register_module()
class LoadCachedImage(LoadImageFromFile):
    """Loads an image in colour (BGR, uint8), and keeps its decoded pixels for the next time.

    The pixels are those that ``LoadImageFromFile`` gives. Kept ones are mapped
    from a file, which all data workers share, and may not be written to in
    place. The first time costs the writing of that file besides.

    Args:
        folder: of the cache, on a fast local disk; None decodes every time.
        gigabytes: most that the cache may take; a picture without room is
            decoded every time.
        grey_as_one_channel: give a picture whose channels are equal as (H, W),
            which is a third to flip and to resize. Steps in between must take
            such pictures, as those of mmdet for flips and resizes do, and the
            last be ``PackPromptedInputs``, which gives it three channels.

    Raises:
        ConfigError: a cache of less than 1 GB.
    """

    def __init__(
        self, *, folder: str | None = None, gigabytes: float = 100.0, grey_as_one_channel: bool = False
    ) -> None:
        super().__init__()
        self.cache = None if folder is None else PixelCache(folder, gigabytes=gigabytes)
        self.grey_as_one_channel = grey_as_one_channel

    def transform(self, results: dict) -> dict | None:
        """Load the image of the results."""
        # the key first: a file that changes while it is decoded must not give its pixels to the new one
        key = None if self.cache is None else self.cache.key(results['img_path'])
        pixels = None if self.cache is None or key is None else self.cache.read(key)
        if pixels is None:
            loaded = super().transform(results)
            pixels = results['img']
            if self.cache is not None and key is not None:
                self.cache.add(key, pixels)
            if self.grey_as_one_channel:
                results['img'] = np.ascontiguousarray(one_channel(pixels))
            return loaded
        if pixels.ndim == 2 and not self.grey_as_one_channel:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        results['img'] = pixels
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

    def __repr__(self) -> str:
        folder = None if self.cache is None else self.cache.folder
        return f'{type(self).__name__}(folder={folder!r}, grey_as_one_channel={self.grey_as_one_channel})'


@TRANSFORMS.register_module()
class LoadInstanceAnnotations(LoadAnnotations):
    """mmdet's ``LoadAnnotations`` with bitmap masks from any COCO segmentation.

    An instance without segmentation gets an empty mask; mmdet fails on a
    missing one and silently ignores an empty one, so that a test would lack
    its prediction. Masks are decoded around their objects only and drawn when
    a step asks for their pixels (:class:`CroppedMasks`).

    Raises:
        AnnotationError: a segmentation that does not fit the image.
    """

    def _load_masks(self, results: dict) -> None:
        results['gt_masks'] = load_masks(results)


def load_masks(results: dict) -> CroppedMasks:
    """Masks of the ``instances`` of an image of ``ori_shape``.

    Raises:
        AnnotationError: a segmentation that does not fit the image.
    """
    height, width = results['ori_shape']
    masks = []
    for instance in results.get('instances', []):
        found = _mask_of(instance.get('mask'), height, width)
        if isinstance(found, MaskFault):
            raise AnnotationError(
                f'{results.get("img_path", "an image")}: {found.detail}. Annotate the image at the size in '
                f'which it is stored ({height} x {width}), without rotation by its EXIF tag'
            )
        masks.append(found)
    return CroppedMasks(masks, height, width)


def _mask_of(segmentation: Any, height: int, width: int) -> CroppedMask | MaskFault:
    """Return the mask of a COCO segmentation, or what is wrong with it."""
    if isinstance(segmentation, dict) and segmentation:
        runs = runs_of_rle(segmentation, height, width)
        return runs if isinstance(runs, MaskFault) else CroppedMask.of_runs(runs, height, width)
    fault = find_fault(segmentation, height, width)
    return fault or CroppedMask.of_mask(decode_segmentation(segmentation, height, width))
