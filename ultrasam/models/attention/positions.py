"""Decomposed relative positions (Li et al. 2022, section 3).

The logit of the query q at (y, x) and the key k at (v, u) is ``q.k / sqrt(D) + q.R_h[y - v] + q.R_w[x - u]``.
"""

from __future__ import annotations

import torch
from torch import Tensor


def relative_position_rows(table: Tensor, size: int) -> Tensor:
    """Rows of a relative position table for every query and key position of one axis.

    Args:
        table: (2 * size - 1, D), float; row ``d + size - 1`` is distance ``d``.
        size: positions along the axis.

    Returns:
        (size, size, D), float, query by key.
    """
    position = torch.arange(size, device=table.device)
    return table[position[:, None] - position[None, :] + size - 1]


def position_logits(q: Tensor, rel_pos_h: Tensor, rel_pos_w: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What the row and the column of a key add to the logits of unscaled queries.

    Args:
        q: (B, heads, size^2, D), float.
        rel_pos_h: (2 * size - 1, D), float.
        rel_pos_w: (2 * size - 1, D), float.
        size: height and width of the window in tokens.

    Returns:
        Two of (B, heads, size^2, size), float: query, then key row or key column.
    """
    q_map = q.unflatten(2, (size, size))
    by_row = torch.einsum('bnyxc,yvc->bnyxv', q_map, relative_position_rows(rel_pos_h, size).to(q.dtype))
    by_column = torch.einsum('bnyxc,xuc->bnyxu', q_map, relative_position_rows(rel_pos_w, size).to(q.dtype))
    return by_row.flatten(2, 3), by_column.flatten(2, 3)


def places(size: int, *, dtype: torch.dtype, device: torch.device | str = 'cpu') -> Tensor:
    """Row and column of each token of a window, one-hot: (size^2, 2 * size)."""
    axis = torch.eye(size, device=device).to(dtype)
    return torch.cat([axis.repeat_interleave(size, 0), axis.repeat(size, 1)], 1)
