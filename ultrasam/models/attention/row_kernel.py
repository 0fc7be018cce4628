"""Attention with relative positions over a whole map on a GPU: one kernel, which reads a row of keys at a time.

All keys of a row of the map share what the row adds to the logit of a query, and each row has the same columns: the
positions cost one addition a logit, and no map is stored. The backward pass adds up the gradients of the positions in
registers: without atomic operations, so that it gives the same bits each time.
"""

from __future__ import annotations

import functools
import importlib.util

import torch
from torch import Tensor

_DTYPES = (torch.float16, torch.bfloat16)
# on smaller maps the kernels of torch are as good
_SMALLEST_SIZE = 32
# a row of keys, and the width of a head, have to fit the registers
_LARGEST_SIZE = 128
_LARGEST_WIDTH = 128


@functools.cache
def available() -> bool:
    """Whether this torch can register operators with gradients, and Triton is there."""
    return hasattr(torch.library, 'custom_op') and importlib.util.find_spec('triton') is not None


def suits(q: Tensor, size: int) -> bool:
    """Whether to attend with this kernel.

    Args:
        q: (B, heads, size^2, D), float.
        size: height and width of the map in tokens.
    """
    return (
        q.is_cuda
        and q.dtype in _DTYPES
        and _SMALLEST_SIZE <= size <= _LARGEST_SIZE
        and 16 <= q.shape[-1] <= _LARGEST_WIDTH
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and available()
    )


def attend(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """Attention of a whole map.

    Args:
        q: (B, heads, height * width, D), float, unscaled.
        k: likewise.
        v: likewise.
        by_row: (B, heads, height * width, height), float, see
            :func:`~ultrasam.models.attention.positions.position_logits`.
        by_column: (B, heads, height * width, width), float.

    Returns:
        (B, heads, height * width, D).
    """
    from ultrasam.models.attention.row_operator import row_attention

    parts = [tensor.flatten(0, 1).contiguous() for tensor in (q, k, v, by_row, by_column)]
    out, _ = row_attention(*parts, q.shape[-1] ** -0.5)
    return out.view(q.shape)
