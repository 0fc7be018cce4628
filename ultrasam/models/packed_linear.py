"""Linear layers of inference on a CPU: oneDNN with weights that are packed once.

Torch hands float32 products to MKL, which reaches half the rate of oneDNN on processors of AMD with AVX-512. oneDNN
takes a weight in a layout of its own; packing costs as much memory as the weights that it is made of, and is done
once a weight. The operators are private to torch, so that they are tried before use, and where they are missing, fail
or give other numbers, ``torch.nn.functional.linear`` does the work.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS_AT_ONCE = 512
"""Rows of a product: what comes out, at most 6 MB, stays in the cache and is allocated with few page faults."""

_DTYPES = (torch.float32, torch.bfloat16)
_TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}

_switched_off = False


@dataclass(frozen=True)
class Operand:
    """The matrix that others are multiplied with.

    Args:
        weight: (outputs, inputs), float32 or bfloat16; packed if ``packed``.
        packed: whether oneDNN multiplies.
    """

    weight: Tensor
    packed: bool

    def multiply(self, x: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> Tensor:
        """``x weight^T + bias``, then GELU if asked.

        Args:
            x: (N, inputs), of the type of the weight.
            bias: (outputs,), of the type of the weight.
            gelu: apply the exact GELU, that of the error function.

        Returns:
            (N, outputs).
        """
        if self.packed:
            name = 'gelu' if gelu else 'none'
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, bias, name, [], 'none')
        out = F.linear(x, self.weight, bias)
        return F.gelu(out) if gelu else out


def pack(weight: Tensor, rows: int) -> Operand:
    """An operand of a weight (outputs, inputs), for products with about so many rows."""
    if onednn_works(weight.dtype) and not _switched_off:
        return Operand(torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), rows), True)
    return Operand(weight.detach(), False)


@functools.cache
def onednn_works(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies numbers of a type on this machine, and correctly; tried once."""
    if dtype not in _DTYPES or not torch.backends.mkldnn.is_available():
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith('AVX512'):
        # without it MKL is as fast
        return False
    generator = torch.Generator().manual_seed(0)
    try:
        return all(
            _multiplies(rows, outputs, inputs, dtype, generator)
            for rows, outputs, inputs in ((96, 192, 64), (37, 54, 80), (64, 31, 196))
        )
    except Exception:
        # whatever a private operator raises, there is another way
        return False


def _multiplies(rows: int, outputs: int, inputs: int, dtype: torch.dtype, generator: torch.Generator) -> bool:
    x, weight, bias = (
        torch.randn(shape, generator=generator).to(dtype)
        for shape in ((rows, inputs), (outputs, inputs), (outputs,))
    )
    weight = weight * inputs**-0.5
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    for b in (bias, None):
        exact = F.linear(x.double(), weight.double(), None if b is None else b.double())
        for gelu in (False, True):
            ours = Operand(packed, True).multiply(x, b, gelu=gelu)
            wanted = F.gelu(exact) if gelu else exact
            limit = _TOLERANCE[dtype] * float(exact.abs().max())
            if ours.dtype != dtype or not float((ours.double() - wanted).abs().max()) <= limit:
                return False
    return True


@contextlib.contextmanager
def without_packing() -> Iterator[None]:
    """Within it nothing is packed, and nothing that was packed is used: torch's own products, for comparison."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def type_of_products(x: Tensor) -> torch.dtype | None:
    """In which type a CPU computes inference of x; None if it is no inference on a CPU that we know to speed up.

    Not when gradients are wanted or a graph is recorded: the plain operators are what can be differentiated, traced,
    compiled and exported.
    """
    if x.device.type != 'cpu' or torch.is_grad_enabled() or records_a_graph():
        return None
    dtype = _autocast_dtype() or x.dtype
    return dtype if dtype in _DTYPES else None


def _autocast_dtype() -> torch.dtype | None:
    if not hasattr(torch, 'get_autocast_dtype'):
        # torch 2.1
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_dtype('cpu') if torch.is_autocast_enabled('cpu') else None


def records_a_graph() -> bool:
    """Whether what runs is traced, compiled or exported."""
    # torch 2.1 lacks it
    compiles = getattr(torch.compiler, 'is_compiling', torch._dynamo.is_compiling)
    return torch.jit.is_tracing() or compiles()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Pack:
    operand: Operand
    source: tuple


# beside the modules, not in them: a copy, a pickle or a state dict of a model holds no packed weight
_packs: weakref.WeakKeyDictionary[nn.Module, dict[torch.dtype, _Pack]] = weakref.WeakKeyDictionary()


def packable(module: nn.Module) -> TypeGuard[nn.Linear | nn.Conv2d]:
    """Whether a module is a plain linear layer or convolution, which nobody replaced, watches or changes."""
    return (
        type(module) in (nn.Linear, nn.Conv2d)
        and type(module.weight) is nn.Parameter
        and not module._forward_hooks
        and not module._forward_pre_hooks
        and not _switched_off
    )


def release(root: nn.Module) -> None:
    """Free the packed weights of all layers of a module."""
    for module in root.modules():
        _packs.pop(module, None)


def packed_bytes(root: nn.Module) -> int:
    """Memory of the packed weights of all layers of a module."""
    operands = [known.operand for module in root.modules() for known in _packs.get(module, {}).values()]
    return sum(one.weight.numel() * one.weight.element_size() for one in operands if one.packed)


def operand_of(module: nn.Linear | nn.Conv2d, dtype: torch.dtype) -> Operand:
    """The operand of a layer, packed at its first use and again when its weight has changed."""
    source = _identity(module.weight)
    packs = _packs.setdefault(module, {})
    known = packs.get(dtype)
    if known is None or known.source != source:
        weight = module.weight.detach().flatten(1).to(dtype)
        known = packs[dtype] = _Pack(pack(weight, ROWS_AT_ONCE), source)
    return known.operand


def _identity(weight: Tensor) -> tuple:
    """What tells a weight from itself after a change.

    Changes through ``.data`` leave the version of a tensor as it was, so that the sum of its bits is compared too:
    a percent of the time of the products.
    """
    version = -1 if weight.is_inference() else weight._version
    return weight.data_ptr(), version, weight.dtype, tuple(weight.shape), _sum_of_bits(weight)


def _sum_of_bits(weight: Tensor) -> int:
    bits = weight.detach()
    if not bits.is_contiguous():
        bits = bits.contiguous()
    width = bits.element_size()
    if bits.shape[-1] * width % 8 == 0 and bits.storage_offset() * width % 8 == 0:
        return int(bits.view(torch.int64).sum())
    return int(bits.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[width]).sum())


class Projection:
    """A linear layer for inference on a CPU, or whatever module replaced it.

    Args:
        module: maps (N, inputs) to (N, outputs); or a convolution that is :func:`packable`, of which the inputs are
            patches as large as its kernel.
        dtype: type of the products, see :func:`type_of_products`.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        self._module = module
        self._dtype = dtype
        self._operand: Operand | None = None
        self._bias: Tensor | None = None
        if packable(module):
            self._operand = operand_of(module, dtype)
            self._bias = None if module.bias is None else module.bias.detach().to(dtype)

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """Map x (N, inputs), float; GELU follows if asked."""
        if self._operand is not None:
            return self._operand.multiply(x.to(self._dtype), self._bias, gelu=gelu)
        out: Tensor = self._module(x)
        return F.gelu(out) if gelu else out


def feed_forward(first: nn.Module, second: nn.Module, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Two linear layers with GELU between.

    Args:
        first: maps (N, D) to (N, hidden).
        second: maps (N, hidden) to (N, D).
        x: (..., D), float.
        dtype: type of the products, see :func:`type_of_products`.

    Returns:
        The shape of x, in ``dtype``.
    """
    widen, narrow = Projection(first, dtype), Projection(second, dtype)
    rows = x.reshape(-1, x.shape[-1])
    parts = [narrow(widen(part, gelu=True)) for part in rows.split(ROWS_AT_ONCE)]
    return torch.cat(parts).reshape(x.shape)
