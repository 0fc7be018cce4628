"""Small layers that the encoder, the decoder and the heads share."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ultrasam.models.packed_linear import (
    ROWS_AT_ONCE,
    feed_forward,
    operand_of,
    packable,
    type_of_products,
)
from ultrasam.models.products import product


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, H, W), float, over C; same shape out."""
        mean = x.mean(1, keepdim=True)
        centred = x - mean
        variance = centred.square().mean(1, keepdim=True)
        x = centred * torch.rsqrt(variance + self.eps)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class ContiguousGradient(torch.autograd.Function):
    """The tensor itself, with a gradient that is contiguous."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """A view of x, of any shape."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient (the shape of x), laid out anew where that is needed."""
        return gradient.contiguous()


class PointwiseConv2d(nn.Conv2d):
    """A convolution of single places, (B, C, H, W) to (B, C', H, W).

    Args:
        in_channels: C.
        out_channels: C'.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W), float."""
        dtype = type_of_products(x)
        if dtype is None or self.training:
            return super().forward(x)
        places = x.permute(0, 2, 3, 1)
        operand = operand_of(self, dtype)
        rows = [operand.multiply(part) for part in places.flatten(0, 2).to(dtype).split(ROWS_AT_ONCE)]
        return torch.cat(rows).view(*places.shape[:3], -1).permute(0, 3, 1, 2).contiguous()


class FeedForward(nn.Module):
    """Two linear layers with an activation between, and no skip of its own.

    Args:
        embed_dims: width of input and output.
        hidden_dims: width between the layers.
        activation: the activation module between the layers.
        dropout: probability of dropping after the activation and at the end.
    """

    def __init__(
        self, embed_dims: int, hidden_dims: int, activation: nn.Module, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self._has_exact_gelu = type(activation) is nn.GELU and activation.approximate == 'none'
        self._has_relu = type(activation) is nn.ReLU
        # the nesting gives the names layers.0.0 and layers.1 that checkpoints carry
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(embed_dims, hidden_dims), activation, nn.Dropout(dropout)),
            nn.Linear(hidden_dims, embed_dims),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., embed_dims) to the same shape."""
        dtype = type_of_products(x)
        if dtype is None or self.training:
            return self.layers(x)
        # a linear layer may have been replaced by one with an adapter
        first, second = self.get_submodule('layers.0.0'), self.get_submodule('layers.1')
        if self._has_exact_gelu:
            return feed_forward(first, second, x, dtype)
        if self._has_relu and x.dtype == dtype == torch.float32 and packable(first) and packable(second):
            # few tokens: comparing packed weights with their sources would take longer than the products
            hidden = product(x.flatten(0, -2), first.weight, bias=first.bias).relu_()
            return product(hidden, second.weight, bias=second.bias).view(x.shape)
        return self.layers(x)


class Mlp(nn.Module):
    """Linear layers with ReLU between them (the hypernetworks and the IoU head).

    Args:
        dims: width of the input, of each hidden layer, and of the output.
    """

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., dims[0]) to (..., dims[-1])."""
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
