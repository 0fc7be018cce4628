"""Loading of images, with or without a cache of their pixels, and of annotations with masks that may be missing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import TRANSFORMS as ROOT_TRANSFORMS
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.registry import TRANSFORMS
from mmengine.fileio import get

from ultrasam.coco.image_sizes import SIZE_ADVICE, size_fault
from ultrasam.errors import AnnotationError
from ultrasam.io.readers.image import read_image
from ultrasam.masks.cropped import CroppedMask
from ultrasam.masks.segmentation import MaskFault, decode_segmentation, find_fault, runs_of_rle
from ultrasam.openmmlab.transforms.cropped_masks import CroppedMasks
from ultrasam.openmmlab.transforms.pixel_cache import PixelCache, one_channel


# of the root, so that pipelines of mmpretrain find it as well
@ROOT_TRANSFORMS.register_module()
class LoadFrame(LoadImageFromFile):
    """Loads an image as prediction does, in colour (BGR, uint8): upright, and of any depth.

    The pixels are those of :func:`ultrasam.io.readers.image.read_image`, which for 8-bit files without an EXIF
    orientation are those of mmcv's ``LoadImageFromFile``.

    Args:
        to_float32: give float32.
        backend_args: of the backend of mmengine that fetches remote files, or None.

    Raises:
        InputError: the file is damaged, too large, of several pages, or of a kind that cannot be read.
        AnnotationError: its record states another size.
    """

    def __init__(self, *, to_float32: bool = False, backend_args: dict | None = None) -> None:
        super().__init__(to_float32=to_float32, backend_args=backend_args)

    def transform(self, results: dict) -> dict | None:
        """Load the image of the results."""
        pixels = self.loaded(results['img_path'])
        results['img'] = pixels.astype(np.float32) if self.to_float32 else pixels
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        check_size(results)
        return results

    def loaded(self, path: str) -> np.ndarray:
        """Return the pixels of a file, (H, W, 3), BGR, uint8."""
        return self.decoded(path)

    def decoded(self, path: str) -> np.ndarray:
        """Return the pixels of a file, which a backend fetches if it is remote."""
        if self.backend_args and not os.path.isfile(path):
            with tempfile.NamedTemporaryFile(suffix=os.path.splitext(path)[1]) as file:
                file.write(get(path, backend_args=self.backend_args))
                file.flush()
                pixels = read_image(Path(file.name))
        else:
            pixels = read_image(Path(path))
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR)


@TRANSFORMS.register_module()
class LoadCachedImage(LoadFrame):
    """Loads an image as :class:`LoadFrame` does, and keeps its decoded pixels for the next time.

    Kept pixels are mapped from a file, which all data workers share, and may not be written to in
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

    def loaded(self, path: str) -> np.ndarray:
        """Return the pixels of a file, kept ones if there are any."""
        # the key first: a file that changes while it is decoded must not give its pixels to the new one
        key = None if self.cache is None else self.cache.key(path)
        pixels = None if self.cache is None or key is None else self.cache.read(key)
        if pixels is None:
            pixels = self.decoded(path)
            if self.cache is not None and key is not None:
                self.cache.add(key, pixels)
            return np.ascontiguousarray(one_channel(pixels)) if self.grey_as_one_channel else pixels
        if pixels.ndim == 2 and not self.grey_as_one_channel:
            return cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
        return pixels

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
    check_size(results)
    height, width = results['ori_shape']
    masks = []
    for instance in results.get('instances', []):
        found = _mask_of(instance.get('mask'), height, width)
        if isinstance(found, MaskFault):
            raise AnnotationError(f'{results.get("img_path", "an image")}: {found.detail}. {SIZE_ADVICE}')
        masks.append(found)
    return CroppedMasks(masks, height, width)


def check_size(results: dict) -> None:
    """See that an image has the size that its record states.

    Args:
        results: With ``ori_shape``, rows and columns of the image, and ``height`` and ``width`` of a record of COCO.

    Raises:
        AnnotationError: It has another size.
    """
    height, width = results.get('height'), results.get('width')
    found = tuple(results['ori_shape'][:2])
    if height is not None and width is not None and (height, width) != found:
        raise AnnotationError(size_fault(results['img_path'], found, (height, width)))


def _mask_of(segmentation: Any, height: int, width: int) -> CroppedMask | MaskFault:
    """Return the mask of a COCO segmentation, or what is wrong with it."""
    if isinstance(segmentation, dict) and segmentation:
        runs = runs_of_rle(segmentation, height, width)
        return runs if isinstance(runs, MaskFault) else CroppedMask.of_runs(runs, height, width)
    fault = find_fault(segmentation, height, width)
    return fault or CroppedMask.of_mask(decode_segmentation(segmentation, height, width))
