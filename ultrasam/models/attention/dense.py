"""Attention with relative positions through torch's scaled dot product, on any device, with gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ultrasam.models.attention.positions import places

# widths of a head that attention kernels take without copying are multiples of this
_KERNEL_WIDTH = 8


def attend_with_bias(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attention with the positions as a bias, a whole map for each head.

    Args:
        q: (B, heads, size^2, D), float, unscaled.
        k: (B, heads, size^2, D), float.
        v: (B, heads, size^2, D), float.
        by_row: (B, heads, size^2, size), float, see :func:`~ultrasam.models.attention.positions.position_logits`.
        by_column: likewise.

    Returns:
        (B, heads, size^2, D).
    """
    bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def attend_without_bias(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """The same attention of the same arguments, which keeps no map for the backward pass.

    The logit is one product: of ``[q / sqrt(D), q.R_h, q.R_w]`` and of the key followed by its row and its column,
    one-hot.
    """
    width, size = q.shape[-1], by_row.shape[-1]
    queries = torch.cat([q * width**-0.5, by_row, by_column], -1)
    place = places(size, dtype=k.dtype, device=k.device)
    keys = torch.cat([k, place.expand(*k.shape[:2], -1, -1)], -1)
    spare = -keys.shape[-1] % _KERNEL_WIDTH
    queries, keys = F.pad(queries, (0, spare)), F.pad(keys, (0, spare))
    if v.device.type == 'cpu':
        # the kernel of the CPU takes values as wide as the keys; any other would fall back to whole maps
        v = F.pad(v, (0, keys.shape[-1] - width))
    return F.scaled_dot_product_attention(queries, keys, v, scale=1.0)[..., :width]
