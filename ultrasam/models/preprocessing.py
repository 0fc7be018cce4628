"""From pixels to the input of the network: normalise, then pad to a square."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PREPROCESSINGS = ('imagenet', 'min_max')


class Preprocessing(nn.Module):
    """Prepares resized images for the image encoder.

    Args:
        kind: ``'imagenet'``, minus a mean and over a standard deviation; ``'min_max'``, each image from 0 to 1 by its
            own least and greatest value, as MedSAM was trained.
        mean: Mean of 'imagenet', RGB, 0 to 255.
        std: Standard deviation of 'imagenet', RGB, 0 to 255.
        img_size: Side of the padded input in pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: str, mean: Sequence[float], std: Sequence[float], img_size: int) -> None:
        super().__init__()
        self.kind = kind
        self.img_size = img_size
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(
                name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False
            )

    def normalise(self, image: Tensor) -> Tensor:
        """Return an image (3, H, W), RGB, 0 to 255, as the encoder wants it: float32, same shape."""
        if self.kind == 'min_max':
            return min_max(image)
        return (image.float() - self.mean) / self.std

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        """Return the input (B, 3, S, S), float32, of images (3, h, w), RGB, 0 to 255: zeros right and below each."""
        return torch.stack(
            [
                F.pad(
                    self.normalise(image),
                    (0, self.img_size - image.shape[2], 0, self.img_size - image.shape[1]),
                )
                for image in images
            ]
        )


def min_max(image: Tensor) -> Tensor:
    """Return an image (3, H, W) over its range: float, 0 to 1; a uniform one is 0."""
    image = image.float()
    low, high = image.aminmax()
    return (image - low) / (high - low).clamp(min=1e-8)
