"""Self-attention of the image encoder, within windows, with decomposed relative positions (Li et al. 2022).

The logit of the query q at (y, x) and the key k at (v, u) is ``q.k / sqrt(D) + q.R_h[y - v] + q.R_w[x - u]``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# attention kernels take heads without a copy if their width is a multiple of this
_KERNEL_WIDTH = 8


def attend_with_bias(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attend with the positions as a bias.

    The faster form on a CPU (ViT-B at 1024 px, one layer over the whole map: 1.5 s, augmented 2.3 s). Training keeps
    the bias, a whole map for each head, for the backward pass.

    Args:
        q: (B, heads, size^2, D), float, unscaled queries.
        k: (B, heads, size^2, D), float.
        v: (B, heads, size^2, D), float.
        by_row: (B, heads, size^2, size), float, see :func:`position_logits`.
        by_column: Likewise.

    Returns:
        (B, heads, size^2, D).
    """
    bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def attend_augmented(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Compute the same attention from the same arguments without a (size^2, size^2) map.

    The logit is one product, of ``[q / sqrt(D), q.R_h, q.R_w]`` and of the key followed by its row and its column,
    one-hot. Training then keeps a quarter of the memory of a layer over the whole map.
    """
    width, size = q.shape[-1], by_row.shape[-1]
    queries = torch.cat([q * width**-0.5, by_row, by_column], -1)
    axis = torch.eye(size, device=k.device, dtype=k.dtype)
    place = torch.cat([axis.repeat_interleave(size, 0), axis.repeat(size, 1)], 1)
    keys = torch.cat([k, place.expand(*k.shape[:2], -1, -1)], -1)
    spare = -keys.shape[-1] % _KERNEL_WIDTH
    # kernels want values as wide as the keys, or fall back to whole maps
    values = F.pad(v, (0, keys.shape[-1] + spare - width))
    queries, keys = F.pad(queries, (0, spare)), F.pad(keys, (0, spare))
    return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)[..., :width]


ATTENTIONS = {'bias': attend_with_bias, 'augmented': attend_augmented}


def relative_position_rows(table: Tensor, size: int) -> Tensor:
    """Return the rows of a relative position table for every query and key position of one axis.

    Args:
        table: (2 * size - 1, D), float; row ``d + size - 1`` is distance ``d``.
        size: Positions along the axis.

    Returns:
        (size, size, D), float, query by key.
    """
    position = torch.arange(size, device=table.device)
    return table[position[:, None] - position[None, :] + size - 1]


def position_logits(q: Tensor, rel_pos_h: Tensor, rel_pos_w: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return what the row and the column of a key add to the logits of unscaled queries.

    Args:
        q: (B, heads, size^2, D), float.
        rel_pos_h: (2 * size - 1, D), float.
        rel_pos_w: (2 * size - 1, D), float.
        size: Height and width of the window in tokens.

    Returns:
        Two of (B, heads, size^2, size), float: query, then key row or key column.
    """
    q_map = q.unflatten(2, (size, size))
    by_row = torch.einsum('bnyxc,yvc->bnyxv', q_map, relative_position_rows(rel_pos_h, size).to(q.dtype))
    by_column = torch.einsum('bnyxc,xuc->bnyxu', q_map, relative_position_rows(rel_pos_w, size).to(q.dtype))
    return by_row.flatten(2, 3), by_column.flatten(2, 3)


def partition_windows(x: Tensor, window: int, filler: Tensor) -> Tensor:
    """Cut a map into windows, after extending it right and bottom to a multiple of the window.

    Args:
        x: (B, H, W, C), float.
        window: Side of a window in tokens.
        filler: (1, 1, 1, C), the token at each place that is added.

    Returns:
        (B * windows, window, window, C).
    """
    batch, height, width, channels = x.shape
    right, bottom = -width % window, -height % window
    x = torch.cat([x, filler.expand(batch, height, right, channels)], 2)
    x = torch.cat([x, filler.expand(batch, bottom, width + right, channels)], 1)
    x = x.reshape(batch, (height + bottom) // window, window, (width + right) // window, window, channels)
    return x.transpose(2, 3).reshape(-1, window, window, channels)


def merge_windows(windows: Tensor, window: int, size_hw: tuple[int, int]) -> Tensor:
    """Undo :func:`partition_windows` and crop the map to ``size_hw``: (B, H, W, C)."""
    height, width = size_hw[0] + -size_hw[0] % window, size_hw[1] + -size_hw[1] % window
    rows, columns = height // window, width // window
    x = windows.reshape(-1, rows, columns, window, window, windows.shape[-1]).transpose(2, 3)
    return x.reshape(-1, height, width, windows.shape[-1])[:, : size_hw[0], : size_hw[1]]


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, or over a whole map, with decomposed relative positions.

    Args:
        embed_dims: Width of the tokens.
        num_heads: Number of heads.
        size: Height and width of the window (or of the whole map) in tokens.
        attention: One of ``ATTENTIONS``; equal up to rounding, see :func:`attend_with_bias` and
            :func:`attend_augmented`.
    """

    def __init__(self, embed_dims: int, num_heads: int, size: int, attention: str = 'bias') -> None:
        super().__init__()
        head_dims = embed_dims // num_heads
        self.attend = ATTENTIONS[attention]
        self.num_heads = num_heads
        self.size = size
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, head_dims))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, head_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each window of the map x (B, H, W, embed_dims); same shape out.

        A map that is not a multiple of the window is extended right and bottom by zeros, which are attended to.
        """
        height, width, channels = x.shape[1:]
        # zeros are projected once rather than at each place: a fifth less work for 64 x 64 tokens in windows of 14
        of_zeros = self.qkv(x.new_zeros(1, 1, 1, channels))
        windows = partition_windows(self.qkv(x), self.size, of_zeros)
        heads = windows.flatten(1, 2).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        by_row, by_column = position_logits(q, self.rel_pos_h, self.rel_pos_w, self.size)
        out = self.attend(q, k, v, by_row, by_column).transpose(1, 2)
        out = out.reshape(-1, self.size, self.size, channels)
        return self.proj(merge_windows(out, self.size, (height, width)))
