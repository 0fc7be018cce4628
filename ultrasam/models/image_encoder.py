"""The image encoder: a ViT with windowed and global attention (ViTDet, Li et al. 2022; SAM, Kirillov et al. 2023)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from mmengine.utils import digit_version
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ultrasam.errors import ConfigError
from ultrasam.models.allocator import return_freed_memory
from ultrasam.models.attention import WindowAttention
from ultrasam.models.layers import FeedForward, LayerNorm2d, PointwiseConv2d
from ultrasam.models.packed_linear import ROWS_AT_ONCE, Projection, packable, release, type_of_products

ATTENTIONS = ('fused', 'materialised')
# before, checkpointing finds that a compiled layer keeps other tensors the second time
_RECOMPUTES_COMPILED = digit_version(torch.__version__) >= digit_version('2.2')
INFERENCE_TYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}

ARCHITECTURES: dict[str, dict] = {
    'base': dict(
        embed_dims=768,
        num_layers=12,
        num_heads=12,
        feedforward_channels=3072,
        global_attn_indexes=(2, 5, 8, 11),
    ),
    'large': dict(
        embed_dims=1024,
        num_layers=24,
        num_heads=16,
        feedforward_channels=4096,
        global_attn_indexes=(5, 11, 17, 23),
    ),
    'huge': dict(
        embed_dims=1280,
        num_layers=32,
        num_heads=16,
        feedforward_channels=5120,
        global_attn_indexes=(7, 15, 23, 31),
    ),
}


def architecture(arch: str | Mapping) -> dict:
    """The architecture dict of a name, or a checked copy of a given dict.

    Raises:
        ConfigError: unknown name, missing or unknown key, or widths that do
            not divide into heads.
    """
    if isinstance(arch, str):
        if arch not in ARCHITECTURES:
            raise ConfigError(
                f'unknown architecture {arch!r}: use one of {", ".join(ARCHITECTURES)}, or a dict'
            )
        return dict(ARCHITECTURES[arch])
    keys = set(ARCHITECTURES['base'])
    if set(arch) != keys:
        raise ConfigError(
            f'architecture dict lacks {sorted(keys - set(arch))} and has unknown {sorted(set(arch) - keys)}: '
            f'give exactly {sorted(keys)}'
        )
    if arch['embed_dims'] % arch['num_heads']:
        raise ConfigError(f'embed_dims {arch["embed_dims"]} is no multiple of num_heads {arch["num_heads"]}')
    return dict(arch)


class PatchEmbed(nn.Module):
    """Cut an image into patches and project each to a token."""

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, embed_dims, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, in_channels, H, W) to tokens (B, H / patch, W / patch, embed_dims), contiguous."""
        dtype = type_of_products(x)
        if dtype is None or self.training or not packable(self.projection):
            return self.projection(x).permute(0, 2, 3, 1).contiguous()
        side = self.projection.stride[0]
        patches = x.unflatten(3, (-1, side)).unflatten(2, (-1, side)).permute(0, 2, 4, 1, 3, 5)
        project = Projection(self.projection, dtype)
        return torch.cat(
            [project(part) for part in patches.flatten(3).flatten(0, 2).split(ROWS_AT_ONCE)]
        ).view(*patches.shape[:3], -1)


class EncoderLayer(nn.Module):
    """One transformer layer of the encoder, over windows or over the whole map.

    Args:
        embed_dims: width of the tokens.
        num_heads: attention heads.
        feedforward_channels: hidden width of the feed-forward part.
        window_size: window in tokens; 0 attends over the whole map.
        map_size: height and width of the whole map in tokens.
        attention: how training attends, see :class:`WindowAttention`.
    """

    def __init__(
        self,
        *,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: int,
        map_size: int,
        attention: str = 'fused',
    ) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = WindowAttention(embed_dims, num_heads, window_size or map_size, attention)
        self.ln2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.ffn = FeedForward(embed_dims, feedforward_channels, nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """Transform x (B, H, W, embed_dims), float; same shape out."""
        x = x + self.attn(self.ln1(x))
        return x + self.ffn(self.ln2(x))


def run_layer(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of x (B, H, W, embed_dims): the part of the encoder that is compiled."""
    out: Tensor = layer(x)
    return out


def _run_anew(run: Callable[[nn.Module, Tensor], Tensor], layer: nn.Module, x: Tensor) -> Tensor:
    """Run a layer whose parts are not kept, without what the one before it left in the allocator."""
    if x.device.type == 'cpu':
        return_freed_memory()
    return run(layer, x)


@MODELS.register_module()
class SamImageEncoder(BaseModule):
    """The image encoder of SAM: image in, one embedding map out.

    Args:
        arch: ``'base'``, ``'large'``, ``'huge'``, or a dict with
            ``embed_dims``, ``num_layers``, ``num_heads``,
            ``feedforward_channels`` and ``global_attn_indexes``.
        img_size: side of the square, padded input in pixels.
        patch_size: side of a patch in pixels.
        in_channels: channels of the image.
        out_channels: channels of the embedding.
        window_size: side of an attention window in tokens.
        attention: how training attends: ``'fused'`` keeps a quarter of the memory
            of a layer over the whole map, ``'materialised'`` computes as segment-anything does; the results are
            equal up to rounding.
        checkpoint_layers: keep only what enters each layer, and compute the rest
            anew for the backward pass: a fraction of the memory, a third more work.
        inference_dtype: type of the products of inference. ``'bfloat16'`` is faster on a GPU, and on a processor that
            has instructions for it; the embedding is then off by about a hundredth of its spread. Sums over layers,
            norms and the neck stay in float32. Training has its own switch, that of the optimizer wrapper.
        compile_layers: run the layers through ``torch.compile`` in training;
            True, or the options of ``torch.compile``.
        make_layer: builds a layer from the arguments of :class:`EncoderLayer`; an encoder with adapters gives its own.
        init_cfg: initialisation config of MMEngine.

    Raises:
        ConfigError: an unknown architecture, attention or type, sizes that do not divide, or layers to be compiled and
            computed anew on a torch that cannot do both.
    """

    def __init__(
        self,
        *,
        arch: str | Mapping = 'base',
        img_size: int = 1024,
        patch_size: int = 16,
        in_channels: int = 3,
        out_channels: int = 256,
        window_size: int = 14,
        attention: str = 'fused',
        checkpoint_layers: bool = False,
        inference_dtype: str = 'float32',
        compile_layers: bool | Mapping = False,
        make_layer: Callable[..., EncoderLayer] = EncoderLayer,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if img_size % patch_size:
            raise ConfigError(f'img_size {img_size} is no multiple of patch_size {patch_size}')
        if attention not in ATTENTIONS:
            raise ConfigError(f'attention {attention!r}: use one of {", ".join(ATTENTIONS)}')
        if inference_dtype not in INFERENCE_TYPES:
            raise ConfigError(f'inference_dtype {inference_dtype!r}: use one of {", ".join(INFERENCE_TYPES)}')
        spec = architecture(arch)
        width, map_size = spec['embed_dims'], img_size // patch_size
        self.img_size = img_size
        self.out_channels = out_channels
        self.checkpoint_layers = checkpoint_layers
        self.inference_dtype = inference_dtype
        self._train_layer: Callable[[nn.Module, Tensor], Tensor] = run_layer
        if compile_layers is not False:
            if checkpoint_layers and not _RECOMPUTES_COMPILED:
                raise ConfigError(
                    f'compile_layers and checkpoint_layers do not go together on torch {torch.__version__}: '
                    'switch one of them off, or take torch 2.2 or later'
                )
            options = {} if compile_layers is True else dict(compile_layers)
            self._train_layer = torch.compile(run_layer, **options)
        self.patch_embed = PatchEmbed(in_channels, width, patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, map_size, map_size, width))
        self.layers = nn.ModuleList(
            make_layer(
                embed_dims=width,
                num_heads=spec['num_heads'],
                feedforward_channels=spec['feedforward_channels'],
                window_size=0 if i in spec['global_attn_indexes'] else window_size,
                map_size=map_size,
                attention=attention,
            )
            for i in range(spec['num_layers'])
        )
        self.channel_reduction = nn.Sequential(
            PointwiseConv2d(width, out_channels),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )
        self._init_parameters()

    def _init_parameters(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Encode images.

        Args:
            x: (B, in_channels, img_size, img_size), float, normalised and
                zero-padded right and bottom.

        Returns:
            One map (B, out_channels, img_size / patch, img_size / patch), in
            a tuple as mmdet's backbones return it.

        Raises:
            ConfigError: the input is not img_size x img_size.
        """
        if x.shape[-2:] != (self.img_size, self.img_size):
            raise ConfigError(
                f'the image encoder takes {self.img_size} x {self.img_size} pixels, got {x.shape[-2]} x {x.shape[-1]}: '
                'resize the longer side to it and pad to a square (FixScaleResize in the pipeline, '
                'pad_size_divisor in the data preprocessor)'
            )
        x = self.patch_embed(x) + self.pos_embed
        run = self._train_layer if self.training else run_layer
        recompute = self.checkpoint_layers and self.training
        with self._inference_type(x):
            for layer in self.layers:
                x = checkpoint(_run_anew, run, layer, x, use_reentrant=False) if recompute else run(layer, x)
        return (self.channel_reduction(x.permute(0, 3, 1, 2)),)

    def _inference_type(self, x: Tensor) -> contextlib.AbstractContextManager:
        """Where the layers run: rounding products in inference, if that was asked for."""
        if self.training or self.inference_dtype == 'float32':
            return contextlib.nullcontext()
        return torch.autocast(x.device.type, INFERENCE_TYPES[self.inference_dtype])

    def train(self, mode: bool = True) -> SamImageEncoder:
        """Switch to training, which frees the packed weights of inference, or to inference."""
        if mode:
            release(self)
        super().train(mode)
        return self
