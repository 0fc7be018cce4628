"""What the allocator of the C library does with freed memory: kept for speed at inference, returned where it is short.

Other allocators than that of glibc are not touched.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import torch


@functools.cache
def keep_freed_memory() -> None:
    """Let the allocator keep blocks of some megabytes that are freed, rather than return them to the system.

    That of glibc returns them until it has seen a block as large freed; fetched again, every page of them costs a
    fault, which together take as long as half of the products of a prompt.
    """
    # just below the 32 MiB from which on it returns every block
    torch.empty(31 << 20, dtype=torch.uint8)


def return_freed_memory() -> None:
    """Return what is freed to the system, also from between blocks that are in use.

    Blocks below 32 MiB that live long, such as what enters a layer, otherwise pin all that was used meanwhile.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    return found
