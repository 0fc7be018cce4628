"""The image encoder: a ViT with windowed and global attention (ViTDet, Li et al. 2022; SAM, Kirillov et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ultrasam.errors import ConfigError
from ultrasam.models.layers import FeedForward, LayerNorm2d

ATTENTIONS = ('fused', 'materialised')

# widths of a head that attention kernels take without copying are multiples of this
_KERNEL_WIDTH = 8

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
        """Map x (B, in_channels, H, W) to tokens (B, H / patch, W / patch, embed_dims)."""
        return self.projection(x).permute(0, 2, 3, 1)


def relative_position_rows(table: Tensor, size: int) -> Tensor:
    """Rows of a relative position table for every query and key position of one axis.

    Args:
        table: (2 * size - 1, D), float; row ``d + size - 1`` is distance ``d``.
        size: positions along the axis.

    Returns:
        (size, size, D), float, query by key.
    """
    position = torch.arange(size, device=table.device)
    return table[position[:, None] - position[None, :] + size - 1]


class WindowAttention(nn.Module):
    """Multi-head self-attention over a window with decomposed relative positions.

    The logit of query q at (y, x) and key k at (v, u) is
    ``q.k / sqrt(D) + q.R_h[y - v] + q.R_w[x - u]`` (Li et al. 2022, section 3).

    Args:
        embed_dims: width of the tokens.
        num_heads: heads.
        size: height and width of the window (or of the whole map) in tokens.
        attention: how training computes it: ``'fused'`` keeps no (size^2, size^2)
            map for the backward pass, ``'materialised'`` does. Inference, which
            keeps nothing, adds the positions as a bias.
    """

    def __init__(self, embed_dims: int, num_heads: int, size: int, attention: str = 'fused') -> None:
        super().__init__()
        head_dims = embed_dims // num_heads
        self.attention = attention
        self.num_heads = num_heads
        self.size = size
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, head_dims))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, head_dims))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each window of x (B, size, size, embed_dims); same shape out."""
        batch, height, width, channels = x.shape
        qkv = self.qkv(x).reshape(batch, height * width, 3, self.num_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.training and self.attention == 'fused':
            out = self._attend_fused(q, k, v)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.position_bias(q))
        return self.proj(out.transpose(1, 2).reshape(batch, height, width, channels))

    def _attend_fused(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The same attention of q, k and v (B, heads, size^2, D), without a bias.

        The logit is one product: of ``[q / sqrt(D), q.R_h, q.R_w]`` and of the
        key followed by its row and its column, one-hot.
        """
        width = q.shape[-1]
        by_row, by_column = (part.flatten(2, 3) for part in self.position_logits(q))
        axis = torch.eye(self.size, dtype=k.dtype, device=k.device)
        place = torch.cat([axis.repeat_interleave(self.size, 0), axis.repeat(self.size, 1)], 1)
        queries = torch.cat([q * width**-0.5, by_row, by_column], -1)
        keys = torch.cat([k, place.expand(*k.shape[:2], -1, -1)], -1)
        spare = -keys.shape[-1] % _KERNEL_WIDTH
        queries, keys = F.pad(queries, (0, spare)), F.pad(keys, (0, spare))
        if v.device.type == 'cpu':
            # the kernel of the CPU takes values as wide as the keys; any other would fall back to whole maps
            v = F.pad(v, (0, keys.shape[-1] - width))
        return F.scaled_dot_product_attention(queries, keys, v, scale=1.0)[..., :width]

    def position_bias(self, q: Tensor) -> Tensor:
        """Bias (B, heads, size^2, size^2) on the logits of unscaled queries q (B, heads, size^2, D)."""
        by_row, by_column = self.position_logits(q)
        return (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)

    def position_logits(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """What the row and the column of a key add to the logits of unscaled queries.

        Args:
            q: (B, heads, size^2, D), float.

        Returns:
            Two of (B, heads, size, size, size), float: query row and column, then key row or key column.
        """
        size = self.size
        q_map = q.unflatten(2, (size, size))
        by_row = torch.einsum(
            'bnyxc,yvc->bnyxv', q_map, relative_position_rows(self.rel_pos_h, size).to(q.dtype)
        )
        by_column = torch.einsum(
            'bnyxc,xuc->bnyxu', q_map, relative_position_rows(self.rel_pos_w, size).to(q.dtype)
        )
        return by_row, by_column


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
        self.window_size = window_size
        self.ln1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = WindowAttention(embed_dims, num_heads, window_size or map_size, attention)
        self.ln2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.ffn = FeedForward(embed_dims, feedforward_channels, nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """Transform x (B, H, W, embed_dims), float; same shape out."""
        x = x + self.attend(self.ln1(x))
        return x + self.ffn(self.ln2(x))

    def attend(self, x: Tensor) -> Tensor:
        """Attention of normalised tokens x (B, H, W, embed_dims), window by window if windowed."""
        if not self.window_size:
            return self.attn(x)
        windows, padded_hw = split_windows(x, self.window_size)
        return join_windows(self.attn(windows), self.window_size, padded_hw, (x.shape[1], x.shape[2]))


def split_windows(x: Tensor, window: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut a map into windows, after zero padding right and bottom to a multiple of the window.

    Args:
        x: (B, H, W, C), float.
        window: window side in tokens.

    Returns:
        (B * windows, window, window, C) and the padded (height, width).
    """
    batch, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = x.shape[1] // window, x.shape[2] // window
    x = x.view(batch, rows, window, columns, window, channels).transpose(2, 3)
    return x.reshape(-1, window, window, channels), (rows * window, columns * window)


def join_windows(
    windows: Tensor, window: int, padded_hw: tuple[int, int], size_hw: tuple[int, int]
) -> Tensor:
    """Undo :func:`split_windows` and crop to ``size_hw``: (B, H, W, C)."""
    rows, columns = padded_hw[0] // window, padded_hw[1] // window
    x = windows.view(-1, rows, columns, window, window, windows.shape[-1]).transpose(2, 3)
    return x.reshape(-1, *padded_hw, windows.shape[-1])[:, : size_hw[0], : size_hw[1]]


def run_layer(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of x (B, H, W, embed_dims): the part of the encoder that is compiled."""
    out: Tensor = layer(x)
    return out


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
        compile_layers: run the layers through ``torch.compile`` in training;
            True, or the options of ``torch.compile``.
        make_layer: builds a layer from the arguments of :class:`EncoderLayer`; an encoder with adapters gives its own.
        init_cfg: initialisation config of MMEngine.

    Raises:
        ConfigError: an unknown architecture or attention, or sizes that do not divide.
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
        compile_layers: bool | Mapping = False,
        make_layer: Callable[..., EncoderLayer] = EncoderLayer,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if img_size % patch_size:
            raise ConfigError(f'img_size {img_size} is no multiple of patch_size {patch_size}')
        if attention not in ATTENTIONS:
            raise ConfigError(f'attention {attention!r}: use one of {", ".join(ATTENTIONS)}')
        spec = architecture(arch)
        width, map_size = spec['embed_dims'], img_size // patch_size
        self.img_size = img_size
        self.out_channels = out_channels
        self.checkpoint_layers = checkpoint_layers
        self._train_layer: Callable[[nn.Module, Tensor], Tensor] = run_layer
        if compile_layers is not False:
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
            nn.Conv2d(width, out_channels, 1, bias=False),
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
        for layer in self.layers:
            x = checkpoint(run, layer, x, use_reentrant=False) if recompute else run(layer, x)
        return (self.channel_reduction(x.permute(0, 3, 1, 2)),)
