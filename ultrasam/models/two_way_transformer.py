"""The mask decoder's transformer: tokens look at the image and back (Kirillov et al. 2023, appendix A)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
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
        self._scale = (embed_dims // downsample // num_heads) ** -0.5
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

    def per_head(self, weight: Tensor) -> Tensor:
        """A projection to the inner width (H * D, C) by head: (H, D, C)."""
        return weight.unflatten(0, (self.num_heads, -1))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _pays_to_fold(self, tokens: Tensor) -> bool:
        """Whether to project the few tokens twice rather than every cell of the image once.

        Training keeps the plain form, whose logits stay in float32 in mixed precision.
        """
        return not self.training and self.folds(tokens.shape[1])

    def folds(self, num_tokens: int) -> bool:
        """Whether so many tokens take less work folded: then their heads are fewer than the inner channels."""
        return self.num_heads * num_tokens < len(self.attn.q_proj_weight)


class TokensToImage(Attention):
    """Attention from few tokens to the many cells of an image.

    Folded, no cell is projected: ``(W_k x) . q = x . (W_k^T q)`` and ``sum a (W_v x) = W_v sum a x``. The bias of the
    keys shifts all logits of a token alike, and that of the values is added once, as the attention sums to one.
    """

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from tokens (M, T, C) to the image (M, K, C), with positions and without: (M, T, C)."""
        if not self._pays_to_fold(query):
            return super().forward(query, key, value)
        logits = self.folded_queries(query).flatten(1, 2) @ key.transpose(1, 2)
        seen = (logits.softmax(-1) @ value).unflatten(1, (self.num_heads, -1))
        return self.folded_output(seen)

    def queries(self, query: Tensor) -> Tensor:
        """Scaled queries (M, H, T, D) of tokens (M, T, C)."""
        return self._heads(F.linear(query, self.attn.q_proj_weight, self.attn.q_bias)) * self._scale

    def folded_queries(self, query: Tensor) -> Tensor:
        """Rows (M, H, T, C) whose products with cells are the logits of tokens (M, T, C)."""
        return self.queries(query) @ self.per_head(self.attn.k_proj_weight)

    def folded_output(self, seen: Tensor) -> Tensor:
        """What tokens take (M, T, C) from the cells that each head saw (M, H, T, C)."""
        return self.joined(seen @ self.per_head(self.attn.v_proj_weight).transpose(1, 2))

    def joined(self, inner: Tensor) -> Tensor:
        """What tokens take (M, T, C) from values without bias (M, H, T, D)."""
        return self.attn.out_proj(inner.transpose(1, 2).flatten(2) + self.attn.v_bias)


class ImageToTokens(Attention):
    """Attention from the many cells of an image to few tokens.

    Folded as in :class:`TokensToImage`; the bias of the queries gives each token and head one number, which does not
    cancel.
    """

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from the image (M, K, C) to tokens (M, T, C), with positions and without: (M, K, C)."""
        if not self._pays_to_fold(key):
            return super().forward(query, key, value)
        keys = self.folded_keys(key)
        logits = torch.baddbmm(
            self.key_offsets(keys).flatten(1)[:, None],
            query,
            self.keys_for_cells(keys).flatten(1, 2).transpose(1, 2),
        )
        attention = logits.unflatten(2, (self.num_heads, -1)).softmax(-1).flatten(2)
        return torch.bmm(attention, self.folded_values(value).flatten(1, 2))

    def folded_keys(self, key: Tensor) -> Tensor:
        """Scaled keys (M, H, T, D) of tokens (M, T, C)."""
        return self._heads(F.linear(key, self.attn.k_proj_weight, self.attn.k_bias)) * self._scale

    def key_offsets(self, keys: Tensor) -> Tensor:
        """What the bias of the queries adds to the logits of all cells: (M, H, T, 1)."""
        return keys @ self.attn.q_bias.unflatten(0, (self.num_heads, -1))[..., None]

    def keys_for_cells(self, keys: Tensor) -> Tensor:
        """Rows (M, H, T, C) whose products with cells are their logits, but for the offsets."""
        return keys @ self.per_head(self.attn.q_proj_weight)

    def folded_values(self, value: Tensor) -> Tensor:
        """What a cell takes (M, H, T, C) from tokens (M, T, C) to which it attends wholly in each head."""
        values = self._heads(F.linear(value, self.attn.v_proj_weight, self.attn.v_bias))
        out_weight = self.attn.out_proj.weight.unflatten(1, (self.num_heads, -1)).permute(1, 2, 0)
        # the attention of each head sums to one, so that a share of the bias in each adds up to the bias
        return values @ out_weight + self.attn.out_proj.bias / self.num_heads


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
        self.cross_attn_token_to_image = TokensToImage(embed_dims, num_heads, downsample)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.mlp = FeedForward(embed_dims, feedforward_channels, nn.ReLU(), dropout)
        self.norm3 = nn.LayerNorm(embed_dims)
        self.cross_attn_image_to_token = ImageToTokens(embed_dims, num_heads, downsample)
        self.norm4 = nn.LayerNorm(embed_dims)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update tokens (M, T, C) and image (M, K, C), given their position codes (M, T, C) and (K, C)."""
        tokens = self.between_tokens(tokens, token_pe)
        placed_image = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, placed_image, image))
        tokens = self.feed_forward(tokens)
        image = self.norm4(image + self.cross_attn_image_to_token(placed_image, tokens + token_pe, tokens))
        return tokens, image

    def between_tokens(self, tokens: Tensor, token_pe: Tensor) -> Tensor:
        """Self-attention of tokens (M, T, C), given their position codes."""
        if self.first:
            return self.norm1(self.self_attn(tokens, tokens, tokens))
        placed = tokens + token_pe
        return self.norm1(tokens + self.self_attn(placed, placed, tokens))

    def feed_forward(self, tokens: Tensor) -> Tensor:
        """The feed-forward part on tokens (M, T, C)."""
        return self.norm3(self.skip_scale * tokens + self.mlp(tokens))


@MODELS.register_module()
class SamTwoWayTransformer(BaseModule):
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
        checkpoint_layers: keep only what enters each layer in training, and
            compute the rest anew for the backward pass; it saves memory where
            images have many instances.
        init_cfg: initialisation config of MMEngine.

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
        checkpoint_layers: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if mlp_skip not in MLP_SKIPS:
            raise ConfigError(f'mlp_skip {mlp_skip!r}: use one of {", ".join(MLP_SKIPS)}')
        self.mlp_skip = mlp_skip
        self.checkpoint_layers = checkpoint_layers
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
        self.final_attn_token_to_image = TokensToImage(embed_dims, num_heads, downsample)
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
        recompute = self.checkpoint_layers and self.training
        for layer in self.layers:
            inputs = (tokens, image, token_pe, image_pe)
            tokens, image = checkpoint(layer, *inputs, use_reentrant=False) if recompute else layer(*inputs)
        attended = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.post_norm(tokens + attended), image.transpose(1, 2).unflatten(2, (height, width))
