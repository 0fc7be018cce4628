"""Preparation of images other than by a fixed mean and standard deviation, or of images not resized yet."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class MinMaxPreprocessor(DetDataPreprocessor):
    """Brings each image to the range from 0 to 1, by its own least and greatest value (as MedSAM was trained).

    Padding comes after it and is 0. Takes the arguments of mmdet's
    ``DetDataPreprocessor`` but for mean and standard deviation.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch; its inputs are (3, H, W) each, uint8 or float, of any sizes."""
        data = self.cast_data(data)
        inputs = [min_max(image) for image in data['inputs']]
        batch = torch.stack(inputs) if isinstance(data['inputs'], Tensor) else inputs
        return super().forward({**data, 'inputs': batch}, training)


@MODELS.register_module()
class ResizingPreprocessor(DetDataPreprocessor):
    """Resizes each image to the ``img_shape`` of its sample, on the device of the model, and prepares it as mmdet does.

    For pipelines with ``DeferredResize``. Bilinear with grey levels rounded to
    integers, as OpenCV resizes; a level may differ by one, so a run does not
    repeat one with ``FixScaleResize`` to the last digit. Takes the arguments of
    mmdet's ``DetDataPreprocessor``.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch: a list of images (3, H, W), uint8, and their samples."""
        data = self.cast_data(data)
        samples = data.get('data_samples') or [None] * len(data['inputs'])
        inputs = [
            image if sample is None else resized(image, sample.img_shape[:2])
            for image, sample in zip(data['inputs'], samples, strict=True)
        ]
        return super().forward({**data, 'inputs': inputs}, training)


def resized(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """An image (3, H, W), uint8, resized bilinearly to (3, h, w), uint8."""
    if tuple(image.shape[-2:]) == tuple(size_hw):
        return image
    # channels that are one in memory are resized once
    is_one_channel = image.stride(0) == 0
    planes = image[:1] if is_one_channel else image
    out = F.interpolate(planes[None].float(), tuple(size_hw), mode='bilinear', align_corners=False)[0]
    out = out.round().to(torch.uint8)
    return out.expand(3, -1, -1) if is_one_channel else out


def min_max(image: Tensor) -> Tensor:
    """An image (3, H, W) over its range: float, 0 to 1; a uniform one is 0."""
    image = image.float()
    low, high = image.aminmax()
    return (image - low) / (high - low).clamp(min=1e-8)
