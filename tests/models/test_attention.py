"""The ways to attend compute one function."""

from __future__ import annotations

import pytest
import torch

from ultrasam.models.attention import ATTENTIONS, WindowAttention, merge_windows, partition_windows


def attention(width: int, heads: int, size: int, how: str = 'bias') -> WindowAttention:
    torch.manual_seed(0)
    made = WindowAttention(width, heads, size, how).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def by_definition(weights: WindowAttention, x: torch.Tensor) -> torch.Tensor:
    """Window by window, query by query and key by key, in float64."""
    weights, x = weights.double(), x.double()
    batch, height, width, channels = x.shape
    size, heads = weights.size, weights.num_heads
    out = torch.zeros_like(x)
    for b in range(batch):
        for top in range(0, height, size):
            for left in range(0, width, size):
                window = x.new_zeros(size, size, channels)
                part = x[b, top : top + size, left : left + size]
                window[: part.shape[0], : part.shape[1]] = part
                q, k, v = weights.qkv(window).reshape(size, size, 3, heads, -1).unbind(2)
                for y in range(part.shape[0]):
                    for z in range(part.shape[1]):
                        of_rows = weights.rel_pos_h[[y - row + size - 1 for row in range(size)]]
                        of_columns = weights.rel_pos_w[[z - column + size - 1 for column in range(size)]]
                        logits = torch.einsum('nc,yxnc->nyx', q[y, z], k) * q.shape[-1] ** -0.5
                        logits = (
                            logits + (q[y, z] @ of_rows.T)[:, :, None] + (q[y, z] @ of_columns.T)[:, None, :]
                        )
                        shares = logits.flatten(1).softmax(-1).view_as(logits)
                        mixed = torch.einsum('nyx,yxnc->nc', shares, v).flatten()
                        out[b, top + y, left + z] = weights.proj(mixed)
    return out


# width, heads, window, height and width of the map
CASES = [(16, 2, 4, 9, 10), (12, 1, 3, 6, 6), (20, 2, 5, 3, 8), (18, 3, 6, 6, 6), (8, 2, 7, 4, 3)]


@pytest.mark.parametrize('case', CASES)
class TestOneFunction:
    @pytest.mark.parametrize('how', ATTENTIONS)
    def test_by_definition(self, case, how):
        width, heads, size, rows, columns = case
        weights, x = attention(width, heads, size, how), torch.randn(2, rows, columns, width)
        wanted = by_definition(weights, x)
        assert float((weights.float()(x) - wanted).abs().max()) < 1e-5

    def test_of_gradients(self, case):
        width, heads, size, rows, columns = case
        x = torch.randn(2, rows, columns, width)
        gradients = []
        for how in ATTENTIONS:
            weights = attention(width, heads, size, how)
            given = x.clone().requires_grad_()
            weights(given).square().sum().backward()
            gradients.append([given.grad, *(p.grad.clone() for p in weights.parameters())])
        for a, b in zip(*gradients, strict=True):
            assert float((a - b).abs().max()) <= 1e-5 * max(float(b.abs().max()), 1.0)


@torch.no_grad()
def test_what_fills_up_windows_is_not_projected(monkeypatch):
    weights, x = attention(16, 2, 4), torch.randn(1, 5, 6, 16)
    rows = []
    weights.qkv.register_forward_hook(
        lambda _module, inputs, _out: rows.append(inputs[0].flatten(0, -2).shape[0])
    )
    weights.proj.register_forward_hook(
        lambda _module, inputs, _out: rows.append(inputs[0].flatten(0, -2).shape[0])
    )
    weights(x)
    # those of the map, once each, and one of zeros
    assert sum(rows) == 2 * 30 + 1


def test_windows_there_and_back():
    x = torch.randn(2, 9, 11, 3)
    windows = partition_windows(x, 4, torch.full((1, 1, 1, 3), 7.0))
    assert windows.shape == (18, 4, 4, 3)
    assert torch.equal(windows[1, 0, 0], x[0, 0, 4])
    assert (windows[8, 1:] == 7).all()
    assert torch.equal(merge_windows(windows, 4, (9, 11)), x)


@torch.no_grad()
def test_mixed_precision_is_near():
    weights, x = attention(32, 2, 8), torch.randn(2, 12, 10, 32)
    exact = weights(x)
    with torch.autocast('cpu', torch.bfloat16):
        rounded = weights(x)
    assert rounded.dtype == torch.bfloat16
    assert 0 < float((rounded - exact).norm() / exact.norm()) < 2e-2
