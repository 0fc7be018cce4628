"""Attention of inference on a CPU, in pieces that stay in its cache.

The whole map is attended to head by head, a few rows of queries at a time; windows are attended to a row of windows
at a time. Neither projects the zeros that fill up windows, nor computes what they attend to.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from ultrasam.models.attention.positions import places, relative_position_rows
from ultrasam.models.packed_linear import ROWS_AT_ONCE, Projection, pack

_LOGITS_AT_ONCE = 2**19
"""Logits of one piece: 2 MB in float32, which stay in the caches of two cores."""


class Weights(Protocol):
    """What is read of an attention module."""

    num_heads: int
    size: int
    rel_pos_h: nn.Parameter
    rel_pos_w: nn.Parameter

    @property
    def qkv(self) -> nn.Module:
        """Tokens to queries, keys and values."""

    @property
    def proj(self) -> nn.Module:
        """What the heads give to tokens."""


def attend(weights: Weights, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Attention within the windows of a map.

    Args:
        weights: the attention module.
        x: (B, H, W, C), float.
        dtype: type of the products.

    Returns:
        (B, H, W, C), of that type.
    """
    projected = Projection(weights.qkv, dtype), Projection(weights.proj, dtype)
    attend_map = _WholeMap if x.shape[1:3] == (weights.size, weights.size) else _Windows
    attend_image = attend_map(weights, *projected, dtype)
    out = x.new_empty(x.shape, dtype=dtype)
    for image, result in zip(x, out, strict=True):
        attend_image(image, result)
    return out


def _softmax_in_place(logits: Tensor) -> Tensor:
    """The softmax over the last axis, row by row into the memory of the logits: new memory costs more than it."""
    return torch.softmax(logits, -1, out=logits)


class _Windows:
    """Attention within windows, of one image at a time."""

    def __init__(self, weights: Weights, qkv: Projection, proj: Projection, dtype: torch.dtype) -> None:
        self._qkv, self._proj = qkv, proj
        self._size, self._heads = weights.size, weights.num_heads
        self._tables = pack(
            torch.cat([weights.rel_pos_h.flip(0), weights.rel_pos_w.flip(0)]).to(dtype), ROWS_AT_ONCE
        )
        self._places = pack(places(self._size, dtype=dtype), ROWS_AT_ONCE)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Attend within the windows of x (H, W, C), into out (H, W, C)."""
        for rows, result in zip(x.split(self._size), out.split(self._size), strict=True):
            result.copy_(self._row(rows))

    def _row(self, x: Tensor) -> Tensor:
        """Attend within a row of windows, x (height, W, C), of which fewer rows than a window's may be there."""
        height, width, channels = x.shape
        size = self._size
        q, k, v = self._windows(x)
        out = q.new_empty(height, width, self._heads, q.shape[-1])
        whole = width // size
        at_once = max(1, _LOGITS_AT_ONCE // (self._heads * size**4))
        for first in range(0, whole, at_once):
            some = slice(first, min(first + at_once, whole))
            part = self._attend(q[some, :, :height], k[some], v[some]).permute(2, 0, 3, 1, 4)
            out[:, first * size : some.stop * size].unflatten(1, (-1, size)).copy_(part)
        if width % size:
            part = self._attend(q[whole:, :, :height, : width % size], k[whole:], v[whole:])
            out[:, whole * size :] = part[0].permute(1, 2, 0, 3)
        return self._proj(out.reshape(-1, channels)).reshape(height, width, channels)

    def _windows(self, x: Tensor) -> Tensor:
        """Queries, keys and values of a row of windows, x (height, W, C): (3, windows, heads, size, size, D)."""
        height, width, channels = x.shape
        size = self._size
        whole, rest = divmod(width, size)
        qkv = self._qkv(x.reshape(-1, channels)).reshape(height, width, 3, self._heads, -1)
        windows = qkv.new_empty(3, whole + bool(rest), self._heads, size, size, qkv.shape[-1])
        inside = qkv[:, : whole * size].unflatten(1, (whole, size))
        windows[:, :whole, :, :height] = inside.permute(3, 1, 4, 0, 2, 5)
        if height == size and not rest:
            return windows
        blank = self._qkv(x.new_zeros(1, channels)).reshape(3, 1, self._heads, 1, 1, -1)
        if rest:
            windows[:, whole, :, :height, :rest] = qkv[:, whole * size :].permute(2, 3, 0, 1, 4)
            windows[:, whole:, :, :height, rest:] = blank
        windows[:, :, :, height:] = blank
        return windows

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention of q (windows, heads, height, width, D), k and v (windows, heads, size, size, D)."""
        height, width, dims = q.shape[2:]
        k, v = (tensor.reshape(-1, self._size**2, dims) for tensor in (k, v))
        queries = q.reshape(len(k), height * width, dims)
        logits = torch.baddbmm(self._bias(queries, height, width), queries, k.mT, alpha=dims**-0.5)
        return torch.bmm(_softmax_in_place(logits), v).reshape(q.shape)

    def _bias(self, q: Tensor, height: int, width: int) -> Tensor:
        """What the positions add to the logits of q (N, height * width, D): (N, height * width, size^2)."""
        size, reach = self._size, 2 * self._size - 1
        # of each query and each distance that there is in a window, from the farthest key after it
        distances = self._tables.multiply(q.reshape(-1, q.shape[-1]))
        strides = (height * width * 2 * reach, width * 2 * reach, 2 * reach)
        shape = (len(q), height, width, size)
        by_place = distances.new_empty(*shape[:3], 2 * size)
        # a row further down is one distance less for every key
        by_place[..., :size] = distances.as_strided(
            shape, (strides[0], strides[1] - 1, strides[2], 1), size - 1
        )
        by_place[..., size:] = distances.as_strided(
            shape, (strides[0], strides[1], strides[2] - 1, 1), reach + size - 1
        )
        return self._places.multiply(by_place.reshape(-1, 2 * size)).reshape(len(q), -1, size * size)


class _WholeMap:
    """Attention over a whole square map, of one image at a time."""

    def __init__(self, weights: Weights, qkv: Projection, proj: Projection, dtype: torch.dtype) -> None:
        self._qkv, self._proj, self._dtype = qkv, proj, dtype
        self._size, self._heads = weights.size, weights.num_heads
        self._of_rows = relative_position_rows(weights.rel_pos_h, self._size).to(dtype).mT
        self._of_columns = relative_position_rows(weights.rel_pos_w, self._size).to(dtype).mT
        self._rows_at_once = max(1, _LOGITS_AT_ONCE // self._size**3)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Attend over the map x (size, size, C), into out (size, size, C)."""
        q, k, v = self._split_heads(x.reshape(-1, x.shape[-1]))
        tokens = out.view(-1, x.shape[-1])
        by_head = tokens.unflatten(1, (self._heads, -1))
        for head in range(self._heads):
            self._attend(q[head], k[head], v[head], by_head[:, head])
        for part in tokens.split(ROWS_AT_ONCE):
            part.copy_(self._proj(part))

    def _split_heads(self, tokens: Tensor) -> list[Tensor]:
        """Queries, keys and values of tokens (N, C): each (heads, N, D)."""
        count, channels = tokens.shape
        shape = (self._heads, count, channels // self._heads)
        # apart, since allocations of more than 32 MB come as pages yet to be filled
        heads = [tokens.new_empty(shape, dtype=self._dtype) for _ in range(3)]
        for start in range(0, count, ROWS_AT_ONCE):
            part = self._qkv(tokens[start : start + ROWS_AT_ONCE]).unflatten(1, (3, self._heads, -1))
            for which, whole in enumerate(heads):
                whole[:, start : start + ROWS_AT_ONCE] = part[:, which].transpose(0, 1)
        return heads

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> None:
        """Attention of one head, q, k and v (N, D), into out (N, D)."""
        size, at_once = self._size, self._rows_at_once
        rows = at_once * size
        keys, values = pack(k * k.shape[-1] ** -0.5, rows), pack(v.mT, rows)
        q_map = q.unflatten(0, (size, size))
        by_row = torch.bmm(q_map, self._of_rows)
        by_column = torch.bmm(q_map.transpose(0, 1), self._of_columns).transpose(0, 1)
        for top in range(0, size, at_once):
            part = slice(top, top + at_once)
            logits = keys.multiply(q[top * size : (top + at_once) * size])
            to_keys = logits.view(-1, size, size, size)
            to_keys += by_row[part, :, :, None]
            to_keys += by_column[part, :, None, :]
            out[top * size : (top + at_once) * size] = values.multiply(_softmax_in_place(logits))
