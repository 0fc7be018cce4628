"""The image encoder: a ViT with windowed and global attention (ViTDet, Li et al. 2022; SAM, Kirillov et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ultrasam.errors import ConfigError
from ultrasam.models.attention import ATTENTIONS, WindowAttention
from ultrasam.models.layers import FeedForward, LayerNorm2d

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
    """Return the architecture dict of a name, or a checked copy of a given dict.

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
        raise ConfigError(
            f'embed_dims {arch["embed_dims"]} is not a multiple of num_heads {arch["num_heads"]}'
        )
    return dict(arch)


class PatchEmbed(nn.Module):
    """Cut an image into patches and project each to a token."""

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, embed_dims, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, in_channels, H, W) to tokens (B, H / patch, W / patch, embed_dims), contiguous."""
        return self.projection(x).permute(0, 2, 3, 1).contiguous()


class EncoderLayer(nn.Module):
    """One transformer layer of the encoder, over windows or over the whole map.

    Args:
        embed_dims: Width of the tokens.
        num_heads: Number of attention heads.
        feedforward_channels: Hidden width of the feed-forward part.
        window_size: Window in tokens; 0 attends over the whole map.
        map_size: Height and width of the whole map in tokens.
        attention: See :class:`WindowAttention`.
    """

    def __init__(
        self,
        *,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: int,
        map_size: int,
        attention: str = 'bias',
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
    """Run a layer on x (B, H, W, embed_dims). All layers go through this function, so that they share programs."""
    out: Tensor = layer(x)
    return out


class SamImageEncoder(nn.Module):
    """The image encoder of SAM: image in, one embedding map out.

    Args:
        arch: ``'base'``, ``'large'``, ``'huge'``, or a dict with ``embed_dims``, ``num_layers``, ``num_heads``,
            ``feedforward_channels`` and ``global_attn_indexes``.
        img_size: Side of the square, padded input in pixels.
        patch_size: Side of a patch in pixels.
        in_channels: Channels of the image.
        out_channels: Channels of the embedding.
        window_size: Side of an attention window in tokens.
        attention: ``'bias'``, the faster on a CPU, or ``'augmented'``, which trains with a quarter of the memory of a
            layer over the whole map.
        grad_checkpointing: In training keep only the input of each layer and compute the rest again for the backward
            pass: a fraction of the memory, a third more work.
        compile_layers: Run the layers through ``torch.compile``: True, or its options.
        make_layer: Builds a layer from the arguments of :class:`EncoderLayer`; an encoder with adapters gives its own.

    Raises:
        ConfigError: Unknown architecture or attention, or sizes that do not divide.
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
        attention: str = 'bias',
        grad_checkpointing: bool = False,
        compile_layers: bool | Mapping = False,
        make_layer: Callable[..., EncoderLayer] = EncoderLayer,
    ) -> None:
        super().__init__()
        if img_size % patch_size:
            raise ConfigError(f'img_size {img_size} is not a multiple of patch_size {patch_size}')
        if attention not in ATTENTIONS:
            raise ConfigError(f'attention {attention!r}: use one of {", ".join(ATTENTIONS)}')
        spec = architecture(arch)
        width, map_size = spec['embed_dims'], img_size // patch_size
        self.img_size = img_size
        self.out_channels = out_channels
        self.grad_checkpointing = grad_checkpointing
        self._run_layer: Callable[[nn.Module, Tensor], Tensor] = run_layer
        if compile_layers is not False:
            self._run_layer = torch.compile(run_layer, **({} if compile_layers is True else compile_layers))
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

    @property
    def embed_dims(self) -> int:
        """Width of the tokens."""
        return self.pos_embed.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Encode images.

        Args:
            x: (B, in_channels, img_size, img_size), float, normalised and zero-padded right and bottom.

        Returns:
            (B, out_channels, img_size / patch, img_size / patch).

        Raises:
            ConfigError: The input is not img_size x img_size.
        """
        return self.forward_with_tokens(x)[0]

    def forward_with_tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images, and return the tokens (B, embed_dims, h, w) of the last layer as well."""
        (tokens,) = self.forward_intermediates(x, (len(self.layers) - 1,))
        return self.channel_reduction(tokens).contiguous(), tokens

    def forward_intermediates(self, x: Tensor, indices: Collection[int]) -> tuple[Tensor, ...]:
        """Return the tokens after some layers, before the neck.

        Args:
            x: As for :meth:`forward`.
            indices: Layers, counted from 0.

        Returns:
            For each of them, in the order of the layers, (B, embed_dims, img_size / patch, img_size / patch).

        Raises:
            ConfigError: The input is not img_size x img_size.
        """
        if x.shape[-2:] != (self.img_size, self.img_size):
            raise ConfigError(
                f'the image encoder takes {self.img_size} x {self.img_size} pixels, got {x.shape[-2]} x {x.shape[-1]}: '
                'resize the longer side to it and pad to a square (FixScaleResize in the pipeline, '
                'pad_size_divisor in the data preprocessor)'
            )
        x = self.patch_embed(x) + self.pos_embed
        maps = []
        run, recompute = self._run_layer, self.grad_checkpointing and self.training
        for i, layer in enumerate(self.layers):
            x = checkpoint(run, layer, x, use_reentrant=False) if recompute else run(layer, x)
            if i in indices:
                maps.append(x.permute(0, 3, 1, 2))
        return tuple(maps)
