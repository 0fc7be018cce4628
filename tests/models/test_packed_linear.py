"""Products of inference on a CPU: the same numbers, weights packed once, packed anew when they change, and freed."""

from __future__ import annotations

import copy
import gc
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.test_properties import SIZE, TINY
from ultrasam.models import SamImageEncoder, packed_linear
from ultrasam.models.layers import FeedForward, PointwiseConv2d
from ultrasam.models.packed_linear import (
    Projection,
    onednn_works,
    operand_of,
    pack,
    packed_bytes,
    release,
    type_of_products,
    without_packing,
)

needs_onednn = pytest.mark.skipif(
    not onednn_works(torch.float32), reason='no AVX-512, or a torch without these operators of oneDNN'
)
FLOAT, HALF = torch.float32, torch.bfloat16


@pytest.fixture
def encoder() -> SamImageEncoder:
    torch.manual_seed(0)
    encoder = SamImageEncoder(arch=TINY, img_size=SIZE).eval()
    for parameter in encoder.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return encoder


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def plain(encoder: SamImageEncoder, image: torch.Tensor) -> torch.Tensor:
    with without_packing():
        return encoder(image)[0]


@torch.no_grad()
def embedding(encoder: SamImageEncoder, image: torch.Tensor) -> torch.Tensor:
    return encoder(image)[0]


@pytest.mark.parametrize(('dtype', 'limit'), [(FLOAT, 1e-5), (HALF, 2e-2)])
@pytest.mark.parametrize('gelu', [False, True])
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('shape', [(1, 5, 3), (37, 54, 80), (130, 96, 64)])
def test_products(shape, bias: bool, gelu: bool, dtype: torch.dtype, limit: float):
    rows, outputs, inputs = shape
    x, weight, b = (
        torch.randn(rows, inputs),
        torch.randn(outputs, inputs) * inputs**-0.5,
        torch.randn(outputs),
    )
    ours = pack(weight.to(dtype), rows).multiply(x.to(dtype), b.to(dtype) if bias else None, gelu=gelu)
    wanted = F.linear(x.double(), weight.double(), b.double() if bias else None)
    wanted = F.gelu(wanted) if gelu else wanted
    assert ours.dtype == dtype
    assert float((ours.double() - wanted).abs().max()) <= limit * max(float(wanted.abs().max()), 1.0)


@torch.no_grad()
def test_a_feed_forward_part_and_a_convolution():
    feed_forward, convolution = FeedForward(24, 50, nn.GELU()).eval(), PointwiseConv2d(24, 7).eval()
    x = torch.randn(2, 30, 40, 24)
    assert torch.allclose(feed_forward(x), feed_forward.layers(x), atol=1e-5)
    given = x.permute(0, 3, 1, 2)
    assert torch.allclose(convolution(given), F.conv2d(given, convolution.weight), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('activation', [nn.ReLU(), nn.GELU(approximate='tanh')])
def test_another_activation_is_that_one(activation: nn.Module):
    feed_forward = FeedForward(24, 50, activation).eval()
    x = torch.randn(3, 24)
    with without_packing():
        assert torch.equal(feed_forward(x), feed_forward.layers(x))
    if isinstance(activation, nn.GELU):
        assert torch.equal(feed_forward(x), feed_forward.layers(x))
    torch.testing.assert_close(feed_forward(x), feed_forward.layers(x), rtol=0, atol=1e-6)


@needs_onednn
class TestPackedWeights:
    def test_are_packed_once(self, encoder: SamImageEncoder, image: torch.Tensor, monkeypatch):
        packed = []
        monkeypatch.setattr(packed_linear, 'pack', lambda *a: packed.append(1) or pack(*a))
        first = embedding(encoder, image)
        count = len(packed)
        assert count == 2 * 4 + 2  # the linear layers, the patches and the first convolution of the neck
        assert torch.equal(embedding(encoder, image), first)
        assert len(packed) == count

    def test_take_the_memory_of_the_weights(self, encoder: SamImageEncoder, image: torch.Tensor):
        embedding(encoder, image)
        weights = sum(
            m.weight.nbytes for m in encoder.modules() if isinstance(m, (nn.Linear, nn.Conv2d))
        )  # the last convolution is not packed
        last = encoder.channel_reduction[2].weight.nbytes
        assert weights - last <= packed_bytes(encoder) <= 1.2 * weights

    def test_training_frees_them(self, encoder: SamImageEncoder, image: torch.Tensor):
        embedding(encoder, image)
        encoder.eval()
        assert packed_bytes(encoder)
        encoder.train()
        assert not packed_bytes(encoder)

    def test_go_with_the_model(self):
        before = len(packed_linear._packs)
        linear = nn.Linear(8, 8)
        operand_of(linear, FLOAT)
        assert len(packed_linear._packs) == before + 1
        del linear
        gc.collect()
        assert len(packed_linear._packs) == before

    @pytest.mark.parametrize(
        'change',
        [
            lambda w: w.data.mul_(2),
            lambda w: w.data[0, :1].add_(1e-3),
            lambda w: torch.no_grad()(w.mul_)(2),
            lambda w: setattr(w, 'data', w.data * 2),
            lambda w: w.data.copy_(w.data.flip(0) * 1.5),
        ],
        ids=['data', 'one value', 'in place', 'replaced', 'copied'],
    )
    def test_follow_every_change(self, encoder: SamImageEncoder, image: torch.Tensor, change):
        before = embedding(encoder, image)
        change(encoder.layers[0].attn.qkv.weight)
        change(encoder.layers[1].ffn.layers[1].weight)
        after = embedding(encoder, image)
        assert not torch.equal(after, before)
        assert torch.allclose(after, plain(encoder, image), atol=1e-4)

    def test_follow_a_loaded_checkpoint(self, encoder: SamImageEncoder, image: torch.Tensor):
        embedding(encoder, image)
        torch.manual_seed(3)
        other = SamImageEncoder(arch=TINY, img_size=SIZE).eval()
        encoder.load_state_dict(other.state_dict())
        assert torch.equal(embedding(encoder, image), embedding(other, image))

    def test_are_in_no_copy_pickle_or_state_dict(self, encoder: SamImageEncoder, image: torch.Tensor):
        names = list(encoder.state_dict())
        size = len(pickle.dumps(encoder))
        wanted = embedding(encoder, image)
        assert list(encoder.state_dict()) == names
        written = pickle.dumps(encoder)
        assert len(written) == size
        for twin in (copy.deepcopy(encoder), pickle.loads(written)):
            assert not packed_bytes(twin)
            assert torch.equal(embedding(twin, image), wanted)
        stream = io.BytesIO()
        torch.save(encoder, stream)

    def test_follow_another_type(self, encoder: SamImageEncoder, image: torch.Tensor):
        wanted = embedding(encoder, image)
        rounded = embedding(encoder.bfloat16(), image.bfloat16())
        assert rounded.dtype == HALF
        assert float((rounded - wanted).norm() / wanted.norm()) < 0.05
        doubled = embedding(encoder.double(), image.double())
        assert doubled.dtype == torch.float64

    def test_inference_mode(self, encoder: SamImageEncoder, image: torch.Tensor):
        wanted = embedding(encoder, image)
        release(encoder)
        with torch.inference_mode():
            assert torch.equal(encoder(image)[0], wanted)
            assert torch.equal(copy.deepcopy(encoder)(image)[0], wanted)


class TestOtherWays:
    def test_numbers_that_are_wrong_are_noticed(self, monkeypatch):
        multiply = packed_linear.Operand.multiply
        monkeypatch.setattr(
            packed_linear.Operand,
            'multiply',
            lambda self, x, b=None, *, gelu=False: multiply(self, x, b, gelu=gelu) * 1.01,
        )
        assert not onednn_works.__wrapped__(FLOAT)

    def test_an_error_is_noticed(self, monkeypatch):
        def broken(*_args, **_options):
            raise RuntimeError('could not create a primitive')

        monkeypatch.setattr(packed_linear.Operand, 'multiply', broken)
        assert not onednn_works.__wrapped__(FLOAT)

    def test_another_processor_and_type(self, monkeypatch):
        assert not onednn_works(torch.float64)
        monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX2')
        assert not onednn_works.__wrapped__(FLOAT)

    @pytest.mark.parametrize('size', [SIZE, 256])
    def test_torch_gives_the_same(self, size: int, monkeypatch):
        torch.manual_seed(0)
        encoder = SamImageEncoder(arch=TINY, img_size=size).eval()
        image = torch.randn(2, 3, size, size)
        ours = embedding(encoder, image)
        release(encoder)
        monkeypatch.setattr(packed_linear, 'onednn_works', lambda _: False)
        theirs = embedding(encoder, image)
        assert not packed_bytes(encoder)
        assert torch.allclose(ours, theirs, atol=1e-5)
        assert torch.allclose(ours, encoder(image)[0], atol=1e-5)  # with gradients: the plain operators

    def test_a_hook_is_called(self):
        linear = nn.Linear(4, 4)
        calls = []
        linear.register_forward_hook(lambda *_: calls.append(1))
        with torch.no_grad():
            Projection(linear, FLOAT)(torch.zeros(2, 4))
        assert calls == [1]

    def test_gradients_and_graphs_take_the_plain_operators(self):
        x = torch.zeros(2, 4)
        assert type_of_products(x) is None
        with torch.no_grad():
            assert type_of_products(x) is FLOAT
            assert type_of_products(x.double()) is None
            with torch.autocast('cpu', HALF):
                assert type_of_products(x) is HALF
            found = []
            torch.jit.trace(lambda x: found.append(type_of_products(x)) or x + 1, x, check_trace=False)
            assert found == [None]

    def test_a_whole_encoder_is_traced(self, encoder: SamImageEncoder, image: torch.Tensor):
        with torch.no_grad():
            traced = torch.jit.trace(encoder, image, check_trace=False)
        assert torch.allclose(traced(image)[0], embedding(encoder, image), atol=1e-5)


class TestBfloat16:
    def test_is_near_and_comes_in_float32(self, encoder: SamImageEncoder, image: torch.Tensor):
        wanted = embedding(encoder, image)
        encoder.inference_dtype = 'bfloat16'
        rounded = embedding(encoder, image)
        assert rounded.dtype == FLOAT
        assert 0 < float((rounded - wanted).norm() / wanted.norm()) < 0.02

    def test_is_not_for_training(self, encoder: SamImageEncoder, image: torch.Tensor):
        encoder.train()
        wanted = encoder(image)[0]
        encoder.inference_dtype = 'bfloat16'
        assert torch.equal(encoder(image)[0], wanted)

    def test_another_type_is_refused(self):
        from ultrasam.errors import ConfigError

        with pytest.raises(ConfigError, match="inference_dtype 'half': use one of float32, bfloat16"):
            SamImageEncoder(arch=TINY, img_size=SIZE, inference_dtype='half')
