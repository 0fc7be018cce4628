"""The mask decoder's transformer: tokens look at the image and back (Kirillov et al. 2023, appendix A)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ultrasam.errors import ConfigError
from ultrasam.models.layers import FeedForward

MLP_SKIPS = {'single': 1, 'doubled': 2}


class _Projections(nn.Module):
    """Input and output projections, named as ``nn.MultiheadAttention`` names its separate ones."""

    def __init__(self, embed_dims: int, inner_dims: int) -> None:
        super().__init__()
        self.q_proj_weight = nn.Parameter(torch.empty(inner_dims, embed_dims))
        self.k_proj_weight = nn.Parameter(torch.empty(inner_dims, embed_dims))
        self.v_proj_weight = nn.Parameter(torch.empty(inner_dims, embed_dims))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * inner_dims))
        self.out_proj = nn.Linear(inner_dims, embed_dims)
        for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight, self.out_proj.weight):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.out_proj.bias)

    @property
    def q_bias(self) -> Tensor:
        """(inner_dims,)."""
        return self.in_proj_bias[: len(self.q_proj_weight)]

    @property
    def k_bias(self) -> Tensor:
        """(inner_dims,)."""
        return self.in_proj_bias[len(self.q_proj_weight) : -len(self.v_proj_weight)]

    @property
    def v_bias(self) -> Tensor:
        """(inner_dims,)."""
        return self.in_proj_bias[-len(self.v_proj_weight) :]


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than that of its tokens.

    Args:
        embed_dims: width of queries, keys, values and output.
        num_heads: heads.
        downsample: the inner width is ``embed_dims / downsample``.
    """

    def __init__(self, embed_dims: int, num_heads: int, downsample: int = 1) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attn = _Projections(embed_dims, embed_dims // downsample)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from query (M, Q, C) to key and value (M, K, C): (M, Q, C), float."""
        weights = self.attn
        out = F.scaled_dot_product_attention(
            self._heads(F.linear(query, weights.q_proj_weight, weights.q_bias)),
            self._heads(F.linear(key, weights.k_proj_weight, weights.k_bias)),
            self._heads(F.linear(value, weights.v_proj_weight, weights.v_bias)),
        )
        return weights.out_proj(out.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class TwoWayLayer(nn.Module):
    """Self-attention of tokens, tokens to image, feed-forward, image to tokens.

    Args:
        embed_dims: width of tokens and image.
        num_heads: attention heads.
        feedforward_channels: hidden width of the feed-forward part.
        dropout: dropout of the feed-forward part in training.
        downsample: factor by which the cross attentions narrow.
        first: the first layer replaces its tokens by their self-attention, without position.
        mlp_skip: ``'single'`` as in SAM; ``'doubled'`` as the published
            UltraSam weights were trained, LN(2q + MLP(q)).
    """

    def __init__(
        self,
        *,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        dropout: float,
        downsample: int,
        first: bool,
        mlp_skip: str,
    ) -> None:
        super().__init__()
        self.first = first
        self.skip_scale = MLP_SKIPS[mlp_skip]
        self.self_attn = Attention(embed_dims, num_heads)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.cross_attn_token_to_image = Attention(embed_dims, num_heads, downsample)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.mlp = FeedForward(embed_dims, feedforward_channels, nn.ReLU(), dropout)
        self.norm3 = nn.LayerNorm(embed_dims)
        self.cross_attn_image_to_token = Attention(embed_dims, num_heads, downsample)
        self.norm4 = nn.LayerNorm(embed_dims)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update tokens (M, T, C) and image (M, K, C), given their position codes (M, T, C) and (K, C)."""
        with_pos = tokens + token_pe
        if self.first:
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        else:
            tokens = self.norm1(tokens + self.self_attn(with_pos, with_pos, tokens))
        image_with_pos = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, image_with_pos, image))
        tokens = self.norm3(self.skip_scale * tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image_with_pos, tokens + token_pe, tokens))
        return tokens, image


class SamTwoWayTransformer(nn.Module):
    """The two-way transformer of the mask decoder.

    Args:
        num_layers: two-way layers.
        embed_dims: width of tokens and image.
        num_heads: attention heads.
        feedforward_channels: hidden width of the feed-forward parts.
        dropout: dropout of the feed-forward parts in training (published: 0.1).
        downsample: factor by which the cross attentions narrow.
        mlp_skip: ``'doubled'`` for weights trained by UltraSam, ``'single'``
            for those of SAM and MedSAM. Names and shapes do not tell them
            apart; masks of the wrong one are unrelated.
        grad_checkpointing: in training keep only the input of each layer and compute the
            rest again for the backward pass; saves memory where images have
            many instances.

    Raises:
        ConfigError: an unknown ``mlp_skip``.
    """

    def __init__(
        self,
        *,
        num_layers: int = 2,
        embed_dims: int = 256,
        num_heads: int = 8,
        feedforward_channels: int = 2048,
        dropout: float = 0.1,
        downsample: int = 2,
        mlp_skip: str = 'doubled',
        grad_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if mlp_skip not in MLP_SKIPS:
            raise ConfigError(f'mlp_skip {mlp_skip!r}: use one of {", ".join(MLP_SKIPS)}')
        self.mlp_skip = mlp_skip
        self.grad_checkpointing = grad_checkpointing
        self.layers = nn.ModuleList(
            TwoWayLayer(
                embed_dims=embed_dims,
                num_heads=num_heads,
                feedforward_channels=feedforward_channels,
                dropout=dropout,
                downsample=downsample,
                first=i == 0,
                mlp_skip=mlp_skip,
            )
            for i in range(num_layers)
        )
        self.final_attn_token_to_image = Attention(embed_dims, num_heads, downsample)
        self.post_norm = nn.LayerNorm(embed_dims)

    def forward(self, tokens: Tensor, image: Tensor, image_pe: Tensor) -> tuple[Tensor, Tensor]:
        """Decode the tokens of M instances.

        Args:
            tokens: (M, T, C), float; they are their own position codes.
            image: (M, C, H, W), float, image embedding plus dense prompt.
            image_pe: (H * W, C), float, position codes of the cells.

        Returns:
            Tokens (M, T, C) and image (M, C, H, W) after the exchange.
        """
        height, width = image.shape[-2:]
        token_pe, image = tokens, image.flatten(2).transpose(1, 2)
        recompute = self.grad_checkpointing and self.training
        for layer in self.layers:
            inputs = (tokens, image, token_pe, image_pe)
            tokens, image = checkpoint(layer, *inputs, use_reentrant=False) if recompute else layer(*inputs)
        attended = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.post_norm(tokens + attended), image.transpose(1, 2).unflatten(2, (height, width))
