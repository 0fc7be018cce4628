"""Matrix products of inference on a CPU where both sides change from call to call: oneDNN where it is known to work.

:mod:`ultrasam.models.packed_linear` is for weights that stay the same; here nothing is packed, and either side may be
a transposed view. Torch's own products do the same where oneDNN does not.
"""

from __future__ import annotations

import functools

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from ultrasam.models.packed_linear import onednn_works, type_of_products

_TOLERANCE = 1e-5


def is_plain_inference(x: Tensor) -> bool:
    """Whether x is float32 on a CPU, without mixed precision, without gradient and outside of a recorded graph."""
    return x.dtype == torch.float32 and type_of_products(x) == torch.float32


def product(left: Tensor, right: Tensor, *, bias: Tensor | None = None, add: Tensor | None = None) -> Tensor:
    """``left right^T``, plus a bias or another matrix.

    Args:
        left: (N, D), float32, in any layout.
        right: (P, D), float32, in any layout.
        bias: (P,), float32.
        add: (N, P), float32; not together with a bias.

    Returns:
        (N, P), float32, contiguous.
    """
    if _multiplies_views():
        if left.stride(0) == 1 and left.numel():
            # oneDNN copies it, three times as slowly
            left = torch.from_numpy(cv2.transpose(left.t().numpy()))
        return _onednn(left, right, bias, add)
    return F.linear(left, right, bias) if add is None else torch.addmm(add, left, right.t())


def _onednn(left: Tensor, right: Tensor, bias: Tensor | None, add: Tensor | None) -> Tensor:
    if add is None:
        return torch.ops.mkldnn._linear_pointwise(left, right, bias, 'none', [], 'none')
    return torch.ops.mkldnn._linear_pointwise.binary(left, add, right, None, 'add')


@functools.cache
def _multiplies_views() -> bool:
    """Whether oneDNN gives what torch gives, for matrices and for transposed views of them; tried once."""
    if not onednn_works(torch.float32):
        return False
    generator = torch.Generator().manual_seed(0)

    def matrices(rows: int, columns: int) -> tuple[Tensor, Tensor]:
        drawn = torch.randn(rows, columns, generator=generator)
        return drawn, drawn.t().contiguous().t()

    try:
        return all(
            _agrees(left, right, bias, add)
            for rows, inner, columns in ((56, 256, 100), (100, 72, 256), (3, 32, 640))
            for left in matrices(rows, inner)
            for right in matrices(columns, inner)
            for bias, add in (
                (None, None),
                (torch.randn(columns, generator=generator), None),
                (None, torch.randn(rows, columns, generator=generator)),
            )
        )
    except Exception:
        return False


def _agrees(left: Tensor, right: Tensor, bias: Tensor | None, add: Tensor | None) -> bool:
    wanted = left.double() @ right.double().t()
    for term in (bias, add):
        wanted = wanted if term is None else wanted + term
    found = _onednn(left, right, bias, add)
    limit = _TOLERANCE * float(wanted.abs().max())
    return found.is_contiguous() and float((found - wanted).abs().max()) <= limit
