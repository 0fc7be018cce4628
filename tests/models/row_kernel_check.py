"""Compare the kernel of a whole map with attention by a bias; on a CPU it needs ``TRITON_INTERPRET=1``."""

from __future__ import annotations

import sys

import torch

from ultrasam.models.attention import row_kernel
from ultrasam.models.attention.dense import attend_with_bias

# images, heads, height and width of the map, width of a head, type, largest relative difference
CASES = [
    (1, 2, 8, 16, torch.float32, 2e-6),
    (2, 1, 5, 24, torch.float32, 2e-6),
    (1, 1, 12, 20, torch.float32, 2e-6),
    (1, 2, 8, 16, torch.float16, 2e-3),
]


def compare(
    images: int, heads: int, size: int, dims: int, dtype: torch.dtype, device: str = 'cpu'
) -> list[float]:
    """Relative differences of the result and of all gradients from those in float64."""
    torch.manual_seed(0)
    shape = (images, heads, size * size)
    given = [torch.randn(*shape, width).to(device, dtype) for width in (dims, dims, dims, size, size)]
    gradient = torch.randn(*shape, dims).to(device, dtype)
    results = []
    for attend, inputs in (
        (row_kernel.attend, [t.clone() for t in given]),
        (attend_with_bias, [t.double() for t in given]),
    ):
        inputs = [t.requires_grad_() for t in inputs]
        out = attend(*inputs)
        results.append([out, *torch.autograd.grad(out, inputs, gradient.to(out.dtype))])
    return [float((a.double() - b).norm() / b.norm()) for a, b in zip(*results, strict=True)]


def same_bits_twice() -> bool:
    """Whether the backward pass gives the same bits each time."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 25, 16, requires_grad=True) for _ in range(3))
    by_row, by_column = (torch.randn(1, 1, 25, 5, requires_grad=True) for _ in range(2))
    inputs = (q, k, v, by_row, by_column)
    first, second = (torch.autograd.grad(row_kernel.attend(*inputs).square().sum(), inputs) for _ in range(2))
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def registered() -> None:
    """Raise if torch finds fault with the operators: shapes without data, gradients, what is written to."""
    from ultrasam.models.attention.row_operator import row_attention

    inputs = [torch.randn(1, 9, width, requires_grad=True) for width in (16, 16, 16, 3, 3)]
    torch.library.opcheck(
        row_attention,
        (*inputs, 0.25),
        test_utils=('test_schema', 'test_faketensor', 'test_autograd_registration'),
    )


def main() -> None:
    """Compare all cases; a difference ends it with a message."""
    for *case, limit in CASES:
        found = compare(*case)
        sys.stdout.write(f'{case}: {found}\n')
        if not max(found) <= limit:
            sys.exit(f'{case} differs by {max(found):g}, over {limit:g}')
    if not same_bits_twice():
        sys.exit('two backward passes differ')
    registered()
    sys.stdout.write('all equal\n')


if __name__ == '__main__':
    main()
