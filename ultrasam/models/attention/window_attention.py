"""The attention module of the image encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ultrasam.models.attention import cpu, row_kernel
from ultrasam.models.attention.dense import attend_with_bias, attend_without_bias
from ultrasam.models.attention.positions import position_logits
from ultrasam.models.attention.windows import join_windows, pad_map, pad_with_zeros, split_windows
from ultrasam.models.packed_linear import type_of_products


class WindowAttention(nn.Module):
    """Multi-head self-attention over windows with decomposed relative positions.

    The logit of query q at (y, x) and key k at (v, u) is
    ``q.k / sqrt(D) + q.R_h[y - v] + q.R_w[x - u]`` (Li et al. 2022, section 3).

    Args:
        embed_dims: width of the tokens.
        num_heads: heads.
        size: height and width of the window (or of the whole map) in tokens.
        attention: how training computes it: ``'fused'`` keeps no (size^2, size^2)
            map for the backward pass, ``'materialised'`` does. Inference, which
            keeps nothing, does what is fastest on its device.
    """

    def __init__(self, embed_dims: int, num_heads: int, size: int, attention: str = 'fused') -> None:
        super().__init__()
        head_dims = embed_dims // num_heads
        self.attention = attention
        self.num_heads = num_heads
        self.size = size
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, head_dims))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, head_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each window of the map x (B, H, W, embed_dims); same shape out.

        A map that is no multiple of the window is extended right and bottom by zeros, which are attended to.
        """
        dtype = type_of_products(x)
        if dtype is not None and not self.training:
            return cpu.attend(self, x, dtype)
        height, width, channels = x.shape[1:]
        windows = self._project(x).flatten(1, 2).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = windows.permute(2, 0, 3, 1, 4).unbind(0)
        out = self._attend(q, k, v).transpose(1, 2).reshape(-1, self.size, self.size, channels)
        return self.proj(join_windows(out, self.size, (height, width)))

    def _project(self, x: Tensor) -> Tensor:
        """Queries, keys and values of the windows of x (B, H, W, C): (B * windows, size, size, 3 * C)."""
        if x.is_cuda:
            # to project the zeros costs a GPU less than to copy what three times as many channels hold
            return self.qkv(split_windows(pad_with_zeros(x, self.size), self.size))
        return split_windows(pad_map(self.qkv(x), self.of_zeros(x), self.size), self.size)

    def of_zeros(self, x: Tensor) -> Tensor:
        """What a token of zeros is projected to, (1, 1, 1, 3 * C): the bias, also of a layer with an adapter."""
        return self.qkv(x.new_zeros(1, 1, 1, x.shape[-1]))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of q, k and v (B, heads, size^2, D); same shape out."""
        by_row, by_column = position_logits(q, self.rel_pos_h, self.rel_pos_w, self.size)
        if self.attention == 'fused' and row_kernel.suits(q, self.size):
            return row_kernel.attend(q, k, v, by_row, by_column)
        if self.attention == 'fused' and (self.training or q.is_cuda):
            return attend_without_bias(q, k, v, by_row, by_column)
        return attend_with_bias(q, k, v, by_row, by_column)
