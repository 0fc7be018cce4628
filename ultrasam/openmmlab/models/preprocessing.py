"""Preparation of images other than by a fixed mean and standard deviation."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from torch import Tensor

from ultrasam.models.preprocessing import min_max


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
