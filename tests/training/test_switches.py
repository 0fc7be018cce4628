"""Switches that make training cheaper keep its numbers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.utils import digit_version

from tests.models.test_adapters import move_adapters, tiny_adapted
from tests.models.test_properties import SIZE, TINY, batch_of, item, random_prompts, tiny_model
from tests.training.tiny import Record, make_runner
from ultrasam.errors import ConfigError
from ultrasam.models.attention import WindowAttention
from ultrasam.models.image_encoder import SamImageEncoder
from ultrasam.openmmlab.models.feature_encoders import SamFeatureEncoder

TORCH = digit_version(torch.__version__.partition('+')[0])
ENCODER = dict(arch=TINY, img_size=SIZE)


def batch(*counts: int) -> dict:
    return batch_of(*(item(random_prompts(count, i), i) for i, count in enumerate(counts)))


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """Counts what is kept for the backward pass, weights aside."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.storages: dict[int, int] = {}
        super().__init__(self._keep, lambda tensor: tensor)

    def _keep(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.weights:
            self.storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self) -> int:
        return sum(self.storages.values())


def step(model: torch.nn.Module) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Loss and gradients of a step, and the bytes that it keeps for the backward pass."""
    model.train().zero_grad()
    data = model.data_preprocessor(batch(2, 3), True)
    torch.manual_seed(5)  # for the dropout of LoRA
    kept = Kept(model)
    with kept:
        loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), gradients, kept.bytes


def assert_same_step(switched: torch.nn.Module, plain: torch.nn.Module, tolerance: float) -> tuple[int, int]:
    """Same loss and gradients; returns the bytes that each step kept."""
    loss, gradients, kept = step(switched)
    plain_loss, plain_gradients, plain_kept = step(plain)
    torch.testing.assert_close(loss, plain_loss, rtol=tolerance, atol=0)
    assert set(gradients) == set(plain_gradients) != set()
    scale = max(float(g.norm()) for g in plain_gradients.values())
    for name, gradient in plain_gradients.items():
        # the gradient of a bias of keys is zero but for rounding
        limit = tolerance * (float(gradient.norm()) + 1e-2 * scale)
        assert float((gradients[name] - gradient).norm()) <= limit, name
    return kept, plain_kept


def adapted(kind: str, base: dict[str, torch.Tensor], **backbone: Any) -> torch.nn.Module:
    model = tiny_adapted(kind, **backbone)
    model.load_state_dict(base)
    torch.manual_seed(2)
    move_adapters(model)
    return model


class TestCheckpointing:
    def test_of_the_encoder(self):
        kept, plain = assert_same_step(
            tiny_model(**{'backbone.grad_checkpointing': True}), tiny_model(), 1e-6
        )
        assert kept < plain

    def test_keeps_a_fraction_of_what_the_encoder_keeps(self):
        def kept(grad_checkpointing: bool) -> int:
            # deep enough that the neck, of which torch 2.1 keeps more, does not decide
            deep = dict(ENCODER, arch=dict(ENCODER['arch'], num_layers=6))
            encoder = SamImageEncoder(**deep, grad_checkpointing=grad_checkpointing).train()
            kept = Kept(encoder)
            with kept:
                encoder(torch.zeros(4, 3, SIZE, SIZE))
            return kept.bytes

        assert kept(True) < 0.5 * kept(False)

    def test_of_the_decoder(self):
        kept, plain = assert_same_step(tiny_model(**{'decoder.grad_checkpointing': True}), tiny_model(), 1e-6)
        assert kept < 0.8 * plain

    @pytest.mark.parametrize('kind', ['lora', 'med_sa'])
    def test_of_adapters(self, kind: str):
        base = tiny_model().state_dict()
        kept, plain = assert_same_step(
            adapted(kind, base, grad_checkpointing=True), adapted(kind, base), 1e-6
        )
        assert kept < plain

    def test_is_for_training_alone(self):
        encoder = SamImageEncoder(**ENCODER, grad_checkpointing=True).eval()
        calls = []
        encoder.layers[0].register_forward_pre_hook(lambda *_: calls.append(1))
        encoder(torch.zeros(1, 3, SIZE, SIZE, requires_grad=True)).sum().backward()
        assert len(calls) == 1
        encoder.train()(torch.zeros(1, 3, SIZE, SIZE, requires_grad=True)).sum().backward()
        assert len(calls) == 3


class TestAttention:
    def test_of_a_step(self):
        augmented, bias = (tiny_model(**{'backbone.attention': name}) for name in ('augmented', 'bias'))
        assert_same_step(augmented, bias, 1e-5)

    @pytest.mark.parametrize(('width', 'heads', 'size'), [(32, 2, 16), (30, 3, 7), (24, 1, 5)])
    def test_outputs_gradients_and_memory(self, width: int, heads: int, size: int):
        torch.manual_seed(0)
        augmented = WindowAttention(width, heads, size, 'augmented')
        for parameter in augmented.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        bias = WindowAttention(width, heads, size, 'bias')
        bias.load_state_dict(augmented.state_dict())
        x = torch.randn(3, size, size, width)
        results, largest = [], []
        for attention in (augmented, bias):
            sizes: list[int] = []
            with torch.autograd.graph.saved_tensors_hooks(
                lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t
            ):
                inputs = x.clone().requires_grad_()
                out = attention.train()(inputs)
            out.square().sum().backward()
            results.append([out.detach(), inputs.grad, *(p.grad for p in attention.parameters())])
            largest.append(max(sizes))
        for a, b in zip(*results, strict=True):
            assert float((a - b).abs().max()) <= 1e-5 * max(float(b.abs().max()), 1.0)
        maps = 3 * heads * size**4
        assert largest[1] >= maps
        # below this size the maps are no larger than the tokens
        assert largest[0] < maps or size < 16

    def test_of_mixed_precision_is_near(self):
        torch.manual_seed(0)
        attention = WindowAttention(32, 2, 8).train()
        for parameter in attention.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        x = torch.randn(2, 8, 8, 32)
        with torch.autocast('cpu', torch.bfloat16):
            rounded = attention(x)
        exact = attention(x)
        assert rounded.dtype == torch.bfloat16
        assert float((rounded - exact).norm() / exact.norm()) < 2e-2

    def test_unknown(self):
        with pytest.raises(ConfigError, match="attention 'quick': use one of bias, augmented"):
            SamImageEncoder(**ENCODER, attention='quick')


class TestCompiling:
    @pytest.mark.parametrize('backend', ['eager', pytest.param('inductor', marks=pytest.mark.slow)])
    @pytest.mark.parametrize('grad_checkpointing', [False, True])
    def test_layers_are_whole_graphs(self, backend: str, grad_checkpointing: bool):
        options = {'backbone.grad_checkpointing': grad_checkpointing}
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        # fullgraph refuses any break of the graph
        compiled = tiny_model(**{'backbone.compile_layers': dict(backend=backend, fullgraph=True), **options})
        assert_same_step(compiled, tiny_model(**options), 1e-6 if backend == 'eager' else 1e-4)
        counters = torch._dynamo.utils.counters
        assert not counters['graph_break']
        assert counters['stats']['unique_graphs'] >= 2  # of a window and of the whole map

    @pytest.mark.parametrize('indices', [(-1,), (0, 2)])
    def test_a_classifier_keeps_its_maps(self, indices: tuple[int, ...]):
        torch._dynamo.reset()
        deep = dict(ENCODER, arch=dict(TINY, num_layers=3))
        torch.manual_seed(0)
        plain = SamFeatureEncoder(**deep, out_indices=indices).train()
        compiled = SamFeatureEncoder(
            **deep, out_indices=indices, compile_layers=dict(backend='eager')
        ).train()
        compiled.load_state_dict(plain.state_dict())
        x = torch.randn(1, 3, SIZE, SIZE)
        for _ in range(3):
            for found, wanted in zip(compiled(x), plain(x), strict=True):
                torch.testing.assert_close(found, wanted)

    def test_names_are_those_of_a_plain_model(self):
        compiled = tiny_model(**{'backbone.compile_layers': dict(backend='eager')})
        assert compiled.state_dict().keys() == tiny_model().state_dict().keys()
        copy.deepcopy(compiled)


def wrapper_of(model: torch.nn.Module, *, accumulative_counts: int = 1, **optimizer: Any) -> Any:
    return build_optim_wrapper(
        model,
        dict(
            type='FiniteOptimWrapper',
            optimizer=dict(dict(type='AdamW', lr=1e-3, weight_decay=1e-2), **optimizer),
            clip_grad=dict(max_norm=0.1),
            accumulative_counts=accumulative_counts,
        ),
    )


def assert_same_weights(a: torch.nn.Module, b: torch.nn.Module, tolerance: float) -> None:
    for (name, x), y in zip(a.named_parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=tolerance, msg=name)


@pytest.mark.skipif(digit_version('2.4') > TORCH, reason='fused AdamW runs on a CPU from torch 2.4 on')
def test_fused_adamw():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3))
    fused = copy.deepcopy(plain)
    losses = []
    for model, options in ((plain, dict(foreach=False)), (fused, dict(fused=True))):
        wrapper = wrapper_of(model, **options)
        generator = torch.Generator().manual_seed(1)
        for _ in range(10):
            loss = model(torch.randn(6, 5, generator=generator)).square().mean()
            wrapper.update_params(loss)
        losses.append(float(loss.detach()))
        assert wrapper.optimizer.param_groups[0].get('augmented') is options.get('augmented')
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert_same_weights(fused, plain, 1e-6)


def test_accumulated_gradients_are_those_of_the_large_batch():
    # plain gradient descent: AdamW would take the sign of rounding errors for a direction
    options = dict(type='SGD', lr=1e-2, weight_decay=0.0)
    parts = [batch_of(item(random_prompts(2, i), i)) for i in range(2)]
    whole = batch_of(*(item(random_prompts(2, i), i) for i in range(2)))
    start, large, small = (tiny_model().train() for _ in range(3))
    large.train_step(whole, wrapper_of(large, **options))
    wrapper = wrapper_of(small, accumulative_counts=2, **options)
    wrapper.initialize_count_status(small, 0, 2)
    small.train_step(parts[0], wrapper)
    assert_same_weights(small, start, 0.0)
    small.train_step(parts[1], wrapper)
    moved = max(
        float((a - b).abs().max()) for a, b in zip(large.parameters(), start.parameters(), strict=True)
    )
    assert moved > 1e-5
    assert_same_weights(small, large, 1e-3 * moved)


def test_tensorboard(tmp_path: Path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    record = Record()
    make_runner(
        tmp_path / 'run',
        record,
        iterations=10,  # the interval of the logger
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')], name=str(tmp_path)
        ),
        log_processor=dict(by_epoch=False, window_size=1),
    ).train()
    (events,) = (tmp_path / 'run').rglob('events.out.tfevents.*')
    found = accumulator.EventAccumulator(str(events.parent))
    found.Reload()
    assert {'loss', 'lr', 'value'} <= set(found.Tags()['scalars'])
