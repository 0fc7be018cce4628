"""Instance annotations as mmdet loads them, with masks that may be missing or empty."""

from __future__ import annotations

from mmdet.datasets.transforms import LoadAnnotations
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks

from ultrasam.errors import AnnotationError
from ultrasam.transforms.segmentation import decode_segmentation, segmentation_fault


@TRANSFORMS.register_module()
class LoadInstanceAnnotations(LoadAnnotations):
    """mmdet's ``LoadAnnotations`` with bitmap masks from any COCO segmentation.

    An instance without segmentation gets an empty mask; mmdet fails on a
    missing one and silently ignores an empty one, so that a test would lack
    its prediction.

    Raises:
        AnnotationError: a segmentation that does not fit the image.
    """

    def _load_masks(self, results: dict) -> None:
        height, width = results['ori_shape']
        masks = []
        for instance in results.get('instances', []):
            segmentation = instance.get('mask')
            fault = segmentation_fault(segmentation, height, width)
            if fault:
                raise AnnotationError(
                    f'{results.get("img_path", "an image")}: {fault}. Annotate the image at the size in '
                    f'which it is stored ({height} x {width}), without rotation by its EXIF tag'
                )
            masks.append(decode_segmentation(segmentation, height, width))
        results['gt_masks'] = BitmapMasks(masks, height, width)
