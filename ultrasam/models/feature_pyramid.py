"""A feature pyramid from the one map of a plain ViT (ViTDet, Li et al. 2022, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.layers import LayerNorm2d


class SimpleFeaturePyramid(nn.Module):
    """Maps of several strides, all from the last map of a ViT.

    A map of half the stride is a transposed convolution away, one of twice the stride a maximum over 2 x 2; each is
    then reduced to ``out_channels`` by a 1 x 1 and smoothed by a 3 x 3 convolution, both followed by a LayerNorm.

    Args:
        in_channels: width of the tokens.
        out_channels: channels of every map.
        in_stride: pixels of the image a token has along each axis.
        out_strides: strides of the maps, finest first: ``in_stride`` times or by a power of two.

    Raises:
        ConfigError: a stride that is not ``in_stride`` times or by a power of two.
    """

    def __init__(
        self,
        *,
        in_channels: int = 768,
        out_channels: int = 256,
        in_stride: int = 16,
        out_strides: Sequence[int] = (4, 8, 16, 32),
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _level(in_channels, out_channels, _steps(in_stride, stride)) for stride in out_strides
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            maps: of the encoder; the last one, (B, in_channels, H, W), float, is used.

        Returns:
            One map (B, out_channels, H * in_stride / stride, W * in_stride / stride) for each stride.
        """
        return tuple(level(maps[-1]) for level in self.levels)


def _steps(in_stride: int, out_stride: int) -> int:
    """How often the stride is halved; a negative number doubles it."""
    steps = math.log2(in_stride / out_stride) if out_stride > 0 else math.nan
    if not steps.is_integer():
        raise ConfigError(
            f'stride {out_stride}: give strides that are {in_stride} times or by a power of two, such as 4, 8, 16, 32'
        )
    return int(steps)


def _level(in_channels: int, out_channels: int, steps: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = in_channels
    for step in range(steps):
        if step:
            layers += [LayerNorm2d(channels), nn.GELU()]
        halved = max(channels // 2, 1)
        layers.append(nn.ConvTranspose2d(channels, halved, 2, stride=2))
        channels = halved
    layers += [nn.MaxPool2d(2, stride=2) for _ in range(-steps)]
    layers += [
        nn.Conv2d(channels, out_channels, 1, bias=False),
        LayerNorm2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LayerNorm2d(out_channels),
    ]
    return nn.Sequential(*layers)
