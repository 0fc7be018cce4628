"""Cutting a map of tokens into windows, and putting it together again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_map(x: Tensor, filler: Tensor, window: int) -> Tensor:
    """Extend a map right and bottom to a multiple of the window.

    Args:
        x: (B, H, W, C), float.
        filler: (1, 1, 1, C), what stands in each place that is added.
        window: window side in tokens.

    Returns:
        (B, H', W', C).
    """
    batch, height, width, channels = x.shape
    right, bottom = -width % window, -height % window
    if right:
        x = torch.cat([x, filler.expand(batch, height, right, channels)], 2)
    if bottom:
        x = torch.cat([x, filler.expand(batch, bottom, width + right, channels)], 1)
    return x


def split_windows(x: Tensor, window: int) -> Tensor:
    """Cut a map (B, H, W, C), whose sides are multiples of the window, into (B * windows, window, window, C)."""
    batch, height, width, channels = x.shape
    rows, columns = height // window, width // window
    x = x.reshape(batch, rows, window, columns, window, channels).transpose(2, 3)
    return x.reshape(-1, window, window, channels)


def join_windows(windows: Tensor, window: int, size_hw: tuple[int, int]) -> Tensor:
    """Undo :func:`split_windows` and crop the map to ``size_hw``: (B, H, W, C)."""
    # a window is given as a number: read off a tensor it is one that a recorded graph cannot divide by
    # one by one, which the compiler of torch 2.1 understands
    height, width = size_hw[0] + -size_hw[0] % window, size_hw[1] + -size_hw[1] % window
    rows, columns = height // window, width // window
    x = windows.reshape(-1, rows, columns, window, window, windows.shape[-1]).transpose(2, 3)
    return x.reshape(-1, height, width, windows.shape[-1])[:, : size_hw[0], : size_hw[1]]


def pad_with_zeros(x: Tensor, window: int) -> Tensor:
    """Extend a map (B, H, W, C) right and bottom by zeros to a multiple of the window."""
    return F.pad(x, (0, 0, 0, -x.shape[2] % window, 0, -x.shape[1] % window))
