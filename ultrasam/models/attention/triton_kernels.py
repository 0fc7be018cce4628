"""Triton kernels of attention with relative positions: a block of keys is one row of the map.

Tensors are contiguous, the first axis is that of images and heads. Logits are to base 2. Products of float32 are
exact, not rounded to TF32.
"""

# mypy: disable-error-code="no-untyped-def,import-untyped"
# the arguments of kernels are of Triton's own types

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _block(base, first, rows, columns, stride, count, width):
    """Pointers to a block of a matrix with ``count`` rows and ``width`` columns, and which of them there are."""
    places = first + rows
    inside = (places[:, None] < count) & (columns[None, :] < width)
    return base + places[:, None] * stride + columns[None, :], inside


@triton.jit
def _logits(q, k, row_bias, column_bias, scale, log2_e: tl.constexpr):
    """Logits of queries (block_q, block_d) and the keys of a row; places without a key have ``column_bias`` -inf."""
    products = tl.dot(q, tl.trans(k), input_precision='ieee')
    return products * scale + row_bias[:, None] * log2_e + column_bias


@triton.jit
def _column_bias(base, first, queries, keys, count, width, log2_e: tl.constexpr):
    """What the columns of keys add to the logits of a block of queries, to base 2; -inf where there is no key."""
    place, inside = _block(base, first, queries, keys, width, count, width)
    bias = tl.load(place, mask=inside, other=0.0).to(tl.float32) * log2_e
    return tl.where(keys[None, :] < width, bias, float('-inf'))


@triton.jit
def weighted_values(
    q_base, k_base, v_base, rows_base, columns_base, out_base, sums_base, scale,
    count: tl.constexpr, height: tl.constexpr, width: tl.constexpr, dims: tl.constexpr,
    block_k: tl.constexpr, block_d: tl.constexpr, block_q: tl.constexpr,
):  # fmt: skip
    """Attention of block_q queries: program 0 counts the blocks, program 1 images and heads."""
    log2_e: tl.constexpr = 1.4426950408889634
    first = tl.program_id(0) * block_q
    head = tl.program_id(1).to(tl.int64)
    queries = tl.arange(0, block_q)
    keys = tl.arange(0, block_k)
    depth = tl.arange(0, block_d)
    tokens = head * count * dims
    place, inside = _block(q_base + tokens, first, queries, depth, dims, count, dims)
    q = tl.load(place, mask=inside, other=0.0)
    column_bias = _column_bias(
        columns_base + head * count * width, first, queries, keys, count, width, log2_e
    )
    valid = first + queries < count
    by_row = rows_base + head * count * height + (first + queries) * height
    largest = tl.full([block_q], float('-inf'), tl.float32)
    sums = tl.zeros([block_q], tl.float32)
    total = tl.zeros([block_q, block_d], tl.float32)
    for row in range(0, height):
        place_k, inside_k = _block(k_base + tokens + row * width * dims, 0, keys, depth, dims, width, dims)
        k = tl.load(place_k, mask=inside_k, other=0.0)
        row_bias = tl.load(by_row + row, mask=valid, other=0.0).to(tl.float32)
        logits = _logits(q, k, row_bias, column_bias, scale, log2_e)
        above = tl.maximum(largest, tl.max(logits, 1))
        shrink = tl.exp2(largest - above)
        parts = tl.exp2(logits - above[:, None])
        place_v, _ = _block(v_base + tokens + row * width * dims, 0, keys, depth, dims, width, dims)
        v = tl.load(place_v, mask=inside_k, other=0.0)
        sums = sums * shrink + tl.sum(parts, 1)
        total = total * shrink[:, None] + tl.dot(parts.to(v.dtype), v, input_precision='ieee')
        largest = above
    place_out, inside = _block(out_base + tokens, first, queries, depth, dims, count, dims)
    tl.store(place_out, (total / sums[:, None]).to(out_base.dtype.element_ty), mask=inside)
    tl.store(sums_base + head * count + first + queries, largest + tl.log2(sums), mask=valid)


@triton.jit
def gradient_of_queries(
    q_base, k_base, v_base, rows_base, columns_base, gradient_base, sums_base, weighted_base,
    of_q_base, of_rows_base, of_columns_base, scale, scale_2,
    count: tl.constexpr, height: tl.constexpr, width: tl.constexpr, dims: tl.constexpr,
    block_k: tl.constexpr, block_d: tl.constexpr, block_q: tl.constexpr,
):  # fmt: skip
    """Gradients of block_q queries and of what the positions add to their logits."""
    log2_e: tl.constexpr = 1.4426950408889634
    first = tl.program_id(0) * block_q
    head = tl.program_id(1).to(tl.int64)
    queries = tl.arange(0, block_q)
    keys = tl.arange(0, block_k)
    depth = tl.arange(0, block_d)
    tokens = head * count * dims
    valid = first + queries < count
    place, inside = _block(q_base + tokens, first, queries, depth, dims, count, dims)
    q = tl.load(place, mask=inside, other=0.0)
    place, inside = _block(gradient_base + tokens, first, queries, depth, dims, count, dims)
    gradient = tl.load(place, mask=inside, other=0.0)
    column_bias = _column_bias(
        columns_base + head * count * width, first, queries, keys, count, width, log2_e
    )
    sums = tl.load(sums_base + head * count + first + queries, mask=valid, other=0.0)
    weighted = tl.load(weighted_base + head * count + first + queries, mask=valid, other=0.0)
    by_row = head * count * height + (first + queries) * height
    of_q = tl.zeros([block_q, block_d], tl.float32)
    of_columns = tl.zeros([block_q, block_k], tl.float32)
    for row in range(0, height):
        place_k, inside_k = _block(k_base + tokens + row * width * dims, 0, keys, depth, dims, width, dims)
        k = tl.load(place_k, mask=inside_k, other=0.0)
        place_v, _ = _block(v_base + tokens + row * width * dims, 0, keys, depth, dims, width, dims)
        v = tl.load(place_v, mask=inside_k, other=0.0)
        row_bias = tl.load(rows_base + by_row + row, mask=valid, other=0.0).to(tl.float32)
        logits = _logits(q, k, row_bias, column_bias, scale_2, log2_e)
        shares = tl.exp2(logits - sums[:, None])
        of_logits = shares * (tl.dot(gradient, tl.trans(v), input_precision='ieee') - weighted[:, None])
        of_q += tl.dot(of_logits.to(k.dtype), k, input_precision='ieee')
        of_columns += of_logits
        of_row = tl.sum(of_logits, 1).to(of_rows_base.dtype.element_ty)
        tl.store(of_rows_base + by_row + row, of_row, mask=valid)
    place, inside = _block(of_q_base + tokens, first, queries, depth, dims, count, dims)
    tl.store(place, (of_q * scale).to(of_q_base.dtype.element_ty), mask=inside)
    place, inside = _block(of_columns_base + head * count * width, first, queries, keys, width, count, width)
    tl.store(place, of_columns.to(of_columns_base.dtype.element_ty), mask=inside)


@triton.jit
def gradient_of_keys(
    q_base, k_base, v_base, rows_base, columns_base, gradient_base, sums_base, weighted_base,
    of_k_base, of_v_base, scale, scale_2,
    count: tl.constexpr, height: tl.constexpr, width: tl.constexpr, dims: tl.constexpr,
    block_k: tl.constexpr, block_d: tl.constexpr, block_q: tl.constexpr,
):  # fmt: skip
    """Gradients of the keys and values of a row of the map: program 0 counts the rows, program 1 images and heads."""
    log2_e: tl.constexpr = 1.4426950408889634
    row = tl.program_id(0)
    head = tl.program_id(1).to(tl.int64)
    queries = tl.arange(0, block_q)
    keys = tl.arange(0, block_k)
    depth = tl.arange(0, block_d)
    tokens = head * count * dims
    here = tokens + row * width * dims
    place, inside_k = _block(k_base + here, 0, keys, depth, dims, width, dims)
    k = tl.load(place, mask=inside_k, other=0.0)
    place, inside_k = _block(v_base + here, 0, keys, depth, dims, width, dims)
    v = tl.load(place, mask=inside_k, other=0.0)
    of_k = tl.zeros([block_k, block_d], tl.float32)
    of_v = tl.zeros([block_k, block_d], tl.float32)
    for first in range(0, count, block_q):
        valid = first + queries < count
        place, inside = _block(q_base + tokens, first, queries, depth, dims, count, dims)
        q = tl.load(place, mask=inside, other=0.0)
        place, inside = _block(gradient_base + tokens, first, queries, depth, dims, count, dims)
        gradient = tl.load(place, mask=inside, other=0.0)
        column_bias = _column_bias(
            columns_base + head * count * width, first, queries, keys, count, width, log2_e
        )
        by_row = rows_base + head * count * height + (first + queries) * height + row
        row_bias = tl.load(by_row, mask=valid, other=0.0).to(tl.float32)
        # a query that is not there has a share of zero
        sums = tl.load(sums_base + head * count + first + queries, mask=valid, other=float('inf'))
        weighted = tl.load(weighted_base + head * count + first + queries, mask=valid, other=0.0)
        logits = _logits(q, k, row_bias, column_bias, scale_2, log2_e)
        shares = tl.exp2(logits - sums[:, None])
        of_v += tl.dot(tl.trans(shares.to(gradient.dtype)), gradient, input_precision='ieee')
        of_logits = shares * (tl.dot(gradient, tl.trans(v), input_precision='ieee') - weighted[:, None])
        of_k += tl.dot(tl.trans(of_logits.to(q.dtype)), q, input_precision='ieee')
    place, inside_k = _block(of_k_base + here, 0, keys, depth, dims, width, dims)
    tl.store(place, (of_k * scale).to(of_k_base.dtype.element_ty), mask=inside_k)
    place, inside_k = _block(of_v_base + here, 0, keys, depth, dims, width, dims)
    tl.store(place, of_v.to(of_v_base.dtype.element_ty), mask=inside_k)
