"""Small layers that the encoder, the decoder and the heads share."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of a (B, C, H, W) map."""

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, H, W), float, over C; same shape out, channels last in memory."""
        normalised = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return normalised.permute(0, 3, 1, 2)


class FeedForward(nn.Module):
    """Two linear layers with an activation between, without a skip connection.

    Args:
        embed_dims: Width of input and output.
        hidden_dims: Width between the layers.
        activation: The activation module between the layers.
        dropout: Probability of dropping after the activation and at the end.
    """

    def __init__(
        self, embed_dims: int, hidden_dims: int, activation: nn.Module, dropout: float = 0.0
    ) -> None:
        super().__init__()
        # the nesting gives the names layers.0.0 and layers.1 that checkpoints carry
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(embed_dims, hidden_dims), activation, nn.Dropout(dropout)),
            nn.Linear(hidden_dims, embed_dims),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., embed_dims) to the same shape."""
        return self.layers(x)


class Mlp(nn.Module):
    """Linear layers with ReLU between them (the hypernetworks and the IoU head).

    Args:
        dims: Width of the input, of each hidden layer, and of the output.
    """

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., dims[0]) to (..., dims[-1])."""
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
