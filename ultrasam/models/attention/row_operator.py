"""The kernels of :mod:`~ultrasam.models.attention.row_kernel` as operators of torch, with gradients.

Importing this needs Triton, and a torch that has ``torch.library.custom_op``.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # type: ignore[import-untyped]
from torch import Tensor

from ultrasam.models.attention.triton_kernels import gradient_of_keys, gradient_of_queries, weighted_values

_LOG2_E = 1.4426950408889634
_QUERIES = 128
_QUERIES_OF_GRADIENT = 64
# a product of Triton has at least this many rows and columns
_LEAST_BLOCK = 16


def _sizes(q: Tensor, by_row: Tensor, by_column: Tensor) -> dict[str, int]:
    width = by_column.shape[-1]
    return dict(
        count=q.shape[1],
        height=by_row.shape[-1],
        width=width,
        dims=q.shape[2],
        block_k=max(_LEAST_BLOCK, triton.next_power_of_2(width)),
        block_d=max(_LEAST_BLOCK, triton.next_power_of_2(q.shape[2])),
    )


@torch.library.custom_op('ultrasam::row_attention', mutates_args=())
def row_attention(
    q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention of maps of tokens.

    Args:
        q: (N, height * width, D), float, contiguous, as all that follow.
        k: likewise.
        v: likewise.
        by_row: (N, height * width, height), float.
        by_column: (N, height * width, width), float.
        scale: factor of the products of queries and keys.

    Returns:
        (N, height * width, D), and the logarithms to base 2 of the sums of the softmax, (N, height * width), float32.
    """
    out = torch.empty_like(q)
    log_sums = torch.empty(q.shape[:2], dtype=torch.float32, device=q.device)
    grid = (triton.cdiv(q.shape[1], _QUERIES), len(q))
    weighted_values[grid](
        q, k, v, by_row, by_column, out, log_sums, scale * _LOG2_E,
        **_sizes(q, by_row, by_column), block_q=_QUERIES, num_warps=8, num_stages=3,
    )  # fmt: skip
    return out, log_sums


@row_attention.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(q), q.new_empty(q.shape[:2], dtype=torch.float32)


@torch.library.custom_op('ultrasam::row_attention_backward', mutates_args=())
def row_attention_backward(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    by_row: Tensor,
    by_column: Tensor,
    out: Tensor,
    log_sums: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of :func:`row_attention` with regard to its five tensors."""
    given = (q, k, v, by_row, by_column)
    of_q, of_k, of_v, of_rows, of_columns = (torch.empty_like(tensor) for tensor in given)
    gradient = gradient.contiguous()
    weighted = (gradient.float() * out.float()).sum(-1)
    sizes = _sizes(q, by_row, by_column)
    grid = (triton.cdiv(q.shape[1], _QUERIES_OF_GRADIENT), len(q))
    gradient_of_queries[grid](
        *given, gradient, log_sums, weighted, of_q, of_rows, of_columns, scale, scale * _LOG2_E,
        **sizes, block_q=_QUERIES_OF_GRADIENT, num_warps=4, num_stages=2,
    )  # fmt: skip
    gradient_of_keys[(sizes['height'], len(q))](
        *given, gradient, log_sums, weighted, of_k, of_v, scale, scale * _LOG2_E,
        **sizes, block_q=_QUERIES_OF_GRADIENT, num_warps=4, num_stages=2,
    )  # fmt: skip
    return of_q, of_k, of_v, of_rows, of_columns


@row_attention_backward.register_fake
def _(
    gradient: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    by_row: Tensor,
    by_column: Tensor,
    out: Tensor,
    log_sums: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    of_q, of_k, of_v, of_rows, of_columns = (
        torch.empty_like(tensor) for tensor in (q, k, v, by_row, by_column)
    )
    return of_q, of_k, of_v, of_rows, of_columns


def _keep(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    *given, scale = inputs
    ctx.save_for_backward(*given, *output)
    ctx.scale = scale


def _backward(ctx: Any, gradient: Tensor, _of_log_sums: Tensor | None) -> tuple[Tensor | None, ...]:
    return (*row_attention_backward(gradient, *ctx.saved_tensors, ctx.scale), None)


row_attention.register_autograd(_backward, setup_context=_keep)
