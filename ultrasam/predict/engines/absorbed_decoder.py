"""A mask decoder for inference on a CPU, made from a model: the same function, with shared work done once.

Measured on two AVX2 cores (AMD EPYC, torch 2.10, one thread, ViT-B at 1024 px) against the modules themselves, CPU
seconds: one box on a new image 0.09 against 0.16, sixteen boxes 0.85 against 3.0.

- With few tokens and many cells, ``(W x) . q = x . (W^T q)`` and ``sum a (W x) = W sum a x``: projections of the image
  are absorbed into the tokens, which are projected twice, and no cell is. The bias of the keys shifts all logits of a
  token alike; that of the values is added once, as the attention sums to one.
- The first layer sees the image embedding plus what stands for a mask prompt, ``constant + weight hidden`` with few
  hidden channels. Its products with the embedding alone serve all prompts of an image.
- Images stay (cells, channels) in memory, and logits (tokens, cells), so that nothing is transposed.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.mask_decoder import Decoded
from ultrasam.models.prompt_encoder import ellipse_logits
from ultrasam.models.two_way_transformer import Attention, SamTwoWayTransformer
from ultrasam.models.ultrasam import Answer, UltraSam, joined
from ultrasam.structures.prompt_batch import PromptBatch
from ultrasam.structures.prompts import (
    BOX_BOTTOM_RIGHT,
    BOX_TOP_LEFT,
    NO_MASK,
    NUM_OUTPUT_TOKENS,
)

# images of instances that are decoded together, 4 MB each and some copies, stay in the last cache
_INSTANCES_AT_ONCE = 4


class ImageTerms(NamedTuple):
    """What the first layer needs of one image, the same for all of its prompts.

    Args:
        cells: (K, C), float32, image embedding.
        keys: (H, D, K), float32, of the attention from tokens, without bias, with positions.
        values: (H, D, K), float32, of the same, without bias.
        queries: (H, D, K), float32, of the attention to tokens, without bias, with positions.
    """

    cells: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


class PreparedImages(NamedTuple):
    """Images made ready for any number of passes over them.

    Args:
        embedding: What the model's encoder returned for B images.
        terms: The terms of each.
    """

    embedding: Any
    terms: tuple[ImageTerms, ...]


class DensePrompt(NamedTuple):
    """What is added to the image embedding of M instances, ``constant + weight hidden``.

    Args:
        constant: (M or 1, C), float32.
        weight: (C, D), float32.
        hidden: (M, D, K), float32, few channels of every cell; None if no instance has a mask.
    """

    constant: Tensor
    weight: Tensor
    hidden: Tensor | None


class _Absorbed:
    """The weights of an attention, by head."""

    def __init__(self, attention: Attention) -> None:
        weights, heads = attention.attn, attention.num_heads
        self.heads = heads
        self.query, self.key, self.value = (
            weight.unflatten(0, (heads, -1))
            for weight in (weights.q_proj_weight, weights.k_proj_weight, weights.v_proj_weight)
        )
        self.query_bias, self.key_bias, self.value_bias = (
            part.unflatten(0, (heads, -1)) for part in weights.in_proj_bias.chunk(3)
        )
        self.scale = self.query.shape[1] ** -0.5
        self.out = weights.out_proj

    def tokens(self, weight: Tensor, bias: Tensor, tokens: Tensor) -> Tensor:
        """Project tokens (M, T, C) by head: (M, H, T, D)."""
        return (
            F.linear(tokens, weight.flatten(0, 1), bias.flatten())
            .unflatten(-1, (self.heads, -1))
            .transpose(1, 2)
        )

    def joined(self, inner: Tensor) -> Tensor:
        """Return what tokens take (M, T, C) from values without bias (M, H, T, D)."""
        return self.out((inner + self.value_bias[:, None]).transpose(1, 2).flatten(2))

    def shares_of_tokens(self, value: Tensor) -> Tensor:
        """Return what a cell takes (M, H, T, C) from tokens (M, T, C) to which it attends wholly in each head."""
        values = self.tokens(self.value, self.value_bias, value)
        out = self.out.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)
        # the attention of each head sums to one, so that a share of the bias in each adds up to the bias
        return values @ out + self.out.bias / self.heads


class _Layer:
    """A two-way layer with absorbed projections."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.to_image = _Absorbed(layer.cross_attn_token_to_image)
        self.to_tokens = _Absorbed(layer.cross_attn_image_to_token)

    def self_attention(self, tokens: Tensor, token_pe: Tensor) -> Tensor:
        layer, with_pos = self.layer, tokens + token_pe
        if layer.first:
            return layer.norm1(layer.self_attn(tokens, tokens, tokens))
        return layer.norm1(tokens + layer.self_attn(with_pos, with_pos, tokens))

    def feed_forward(self, tokens: Tensor, attended: Tensor) -> Tensor:
        tokens = self.layer.norm2(tokens + attended)
        return self.layer.norm3(self.layer.skip_scale * tokens + self.layer.mlp(tokens))


class AbsorbedDecoder:
    """Decodes prompts as :meth:`UltraSam.decode` does, in float32 on a CPU.

    It copies what it needs of the model, keeps nothing between calls, and may be used from several threads.

    Args:
        model: The model; later changes of its weights have no effect here.

    Raises:
        ConfigError: A decoder that is not ours, whose function is not known here: use the modules themselves.
    """

    def __init__(self, model: UltraSam) -> None:
        transformer = model.mask_decoder.transformer
        if type(transformer) is not SamTwoWayTransformer:
            raise ConfigError(
                f'{type(transformer).__name__} is not the decoder that an absorbed one is made from: decode with the '
                'model itself'
            )
        own = copy.deepcopy(model, {id(model.image_encoder): nn.Identity()})
        self._model = own.float().cpu().eval().requires_grad_(False)
        decoder = self._model.mask_decoder
        self._layers = [_Layer(layer) for layer in decoder.transformer.layers]
        self._final = _Absorbed(decoder.transformer.final_attn_token_to_image)
        self._positions = self._model.prompt_encoder.dense_positions().contiguous()
        side = self._model.prompt_encoder.map_size
        # cell row and column, then row and column within it, coarse before fine: brought row by row
        places = torch.arange(16 * side * side).unflatten(0, (side, side, 2, 2, 2, 2))
        self._order = places.permute(0, 2, 4, 1, 3, 5).flatten()
        self._upscaling = [
            # a transposed convolution whose stride is its size maps each cell to its own square
            (
                layer.weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous(),
                layer.get_parameter('bias').repeat(4),
            )
            for layer in decoder.output_upscaling
            if isinstance(layer, nn.ConvTranspose2d)
        ]

    @torch.no_grad()
    def prepare(self, embedding: Any) -> PreparedImages:
        """Compute once what every pass over these images needs."""
        return PreparedImages(embedding, tuple(map(self._terms, self._model.features(embedding))))

    @torch.no_grad()
    def decode(self, embedding: Any, prompts: PromptBatch, mask_prompt: Tensor | None = None) -> Answer:
        """Decode all four masks of M prompts, see :meth:`UltraSam.decode`; takes prepared images, too."""
        prepared = embedding if isinstance(embedding, PreparedImages) else self.prepare(embedding)
        embedding, terms = prepared
        if not len(prompts):
            return self._model.decode(embedding, prompts)
        features = self._model.features(embedding)
        answers, order = [], []
        for group in prompts.groups:
            for part in torch.arange(len(group.members)).split(_INSTANCES_AT_ONCE):
                members, coords, labels, index = (tensor[part] for tensor in group)
                masks = None if mask_prompt is None else mask_prompt[members]
                tokens = self._model.prompt_encoder.tokens(coords, labels)
                dense = self._dense(masks, coords, labels)
                decoded = self._decode(tokens, [terms[i] for i in index.tolist()], dense, features.shape[-2:])
                answers.append(self._model.answer(decoded, embedding, index))
                order.append(members)
        return joined(answers, torch.cat(order))

    def _terms(self, features: Tensor) -> ImageTerms:
        """Compute the terms of one image embedding (C, h, w)."""
        first = self._layers[0]
        cells = features.flatten(1).t().contiguous()
        with_pos = cells + self._positions
        keys, values, queries = (
            (weight.flatten(0, 1) @ image.t()).unflatten(0, weight.shape[:2])
            for weight, image in (
                (first.to_image.key, with_pos),
                (first.to_image.value, cells),
                (first.to_tokens.query, with_pos),
            )
        )
        return ImageTerms(cells, keys, values, queries)

    def _dense(self, mask_prompt: Tensor | None, coords: Tensor, labels: Tensor) -> DensePrompt:
        """Return :meth:`SamPromptEncoder.dense` before its last layer; same arguments."""
        encoder = self._model.prompt_encoder
        layers = encoder.mask_downscaling
        no_mask = encoder.label_encoder.label_embedding.weight[NO_MASK][None]
        if mask_prompt is None and (encoder.box_mask == 'none' or layers is None):
            return DensePrompt(no_mask, no_mask.new_zeros((no_mask.shape[1], 0)), None)
        if layers is None:
            raise ConfigError('this model takes no mask prompts: build it with num_refinements >= 1')
        weight, bias = layers[-1].weight.flatten(1), layers[-1].bias[None]
        if mask_prompt is not None:
            return DensePrompt(bias, weight, layers[:-1](mask_prompt).flatten(2))
        first, last = labels == BOX_TOP_LEFT, labels == BOX_BOTTOM_RIGHT
        boxes = torch.cat([(coords * corner[..., None]).sum(1) for corner in (first, last)], 1)
        drawn = ellipse_logits(boxes, encoder.img_size, encoder.mask_prompt_size)[:, None]
        has_box = first.any(1)[:, None]
        hidden = layers[:-1](drawn).flatten(2) * has_box[..., None]
        return DensePrompt(torch.where(has_box, bias, no_mask), weight, hidden)

    def _decode(
        self, tokens: Tensor, terms: list[ImageTerms], dense: DensePrompt, size_hw: torch.Size
    ) -> Decoded:
        """Decode tokens (M, T, C), which are their own position codes, on the image of each instance."""
        token_pe = tokens
        images: list[Tensor] = []
        with_pos: list[Tensor] = []
        for layer in self._layers:
            tokens = layer.self_attention(tokens, token_pe)
            query = tokens + token_pe
            seen = (
                self._look(layer.to_image, query, images, with_pos)
                if images
                else _first_look(layer, query, terms, dense)
            )
            tokens = layer.feed_forward(tokens, seen)
            key = tokens + token_pe
            images = (
                self._answer(layer.to_tokens, key, tokens, images, with_pos)
                if images
                else _first_answer(layer, key, tokens, terms, dense)
            )
            images = [layer.layer.norm4(image) for image in images]
            with_pos = [image + self._positions for image in images]
        # prompt tokens are not read after the last layer, so that theirs is not computed
        tokens, token_pe = tokens[:, -NUM_OUTPUT_TOKENS:], token_pe[:, -NUM_OUTPUT_TOKENS:]
        seen = self._look(self._final, tokens + token_pe, images, with_pos)
        decoder = self._model.mask_decoder
        tokens = decoder.transformer.post_norm(tokens + seen)
        hyper = torch.stack([mlp(tokens[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], 1)
        logits = torch.stack(
            [self._masks(image, rows, size_hw) for image, rows in zip(images, hyper, strict=True)]
        )
        # of one image there is nothing to copy
        stacked = torch.stack(images) if len(images) > 1 else images[0][None]
        image = stacked.transpose(1, 2).unflatten(2, size_hw)
        return Decoded(logits, decoder.iou_prediction_head(tokens[:, -1]), tokens, image)

    @staticmethod
    def _look(attention: _Absorbed, query: Tensor, images: list[Tensor], with_pos: list[Tensor]) -> Tensor:
        """Attend from tokens (M, T, C) to M images (K, C), without and with positions: (M, T, C)."""
        queries = attention.tokens(attention.query, attention.query_bias, query) * attention.scale
        rows = (queries @ attention.key).flatten(1, 2)
        seen = [
            F.linear(of_tokens, keys).softmax(-1) @ image
            for of_tokens, keys, image in zip(rows, with_pos, images, strict=True)
        ]
        by_head = torch.stack(seen).unflatten(1, (attention.heads, -1))
        return attention.joined(by_head @ attention.value.transpose(1, 2))

    @staticmethod
    def _answer(
        attention: _Absorbed, key: Tensor, value: Tensor, images: list[Tensor], with_pos: list[Tensor]
    ) -> list[Tensor]:
        """Return M images (K, C), each plus its attention to tokens (M, T, C), with positions and without."""
        keys = attention.tokens(attention.key, attention.key_bias, key) * attention.scale
        offsets = keys @ attention.query_bias[..., None]
        rows, values = keys @ attention.query, attention.shares_of_tokens(value)
        answered = []
        for of_tokens, offset, taken, image, cells in zip(
            rows, offsets, values, images, with_pos, strict=True
        ):
            logits = F.linear(of_tokens.flatten(0, 1), cells).unflatten(0, offset.shape[:2])
            shares = (logits + offset).softmax(1).flatten(0, 1)
            answered.append(torch.addmm(image, shares.t(), taken.flatten(0, 1)))
        return answered

    def _masks(self, image: Tensor, hyper: Tensor, size_hw: torch.Size) -> Tensor:
        """Return mask logits (4, 4h, 4w) of an image (K, C) and the vectors of its masks (4, C / 8)."""
        norm = self._model.mask_decoder.output_upscaling[1]
        (first, first_bias), (second, second_bias) = self._upscaling
        x = F.linear(image, first, first_bias).view(-1, len(norm.weight))
        x = torch.ops.aten.gelu_(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        x = torch.ops.aten.gelu_(F.linear(x, second, second_bias))
        logits = F.linear(hyper, x.view(-1, hyper.shape[1]))
        # a gather is faster than a permutation of seven axes
        maps = logits.index_select(1, self._order)
        return maps.view(len(hyper), 4 * size_hw[0], 4 * size_hw[1])


def _first_look(layer: _Layer, query: Tensor, terms: list[ImageTerms], dense: DensePrompt) -> Tensor:
    """Attend from tokens (M, T, C) to embeddings plus dense prompts, of which terms are known: (M, T, C).

    A constant shifts all keys of a token alike, which the softmax does not notice, and adds itself to the values.
    """
    attention = layer.to_image
    queries = attention.tokens(attention.query, attention.query_bias, query) * attention.scale
    constant = (attention.value @ dense.constant[:, None, :, None]).transpose(2, 3)
    through_keys = queries @ (attention.key @ dense.weight)
    inner = []
    for i, image in enumerate(terms):
        logits = torch.bmm(queries[i], image.keys)
        if dense.hidden is not None:
            logits += through_keys[i] @ dense.hidden[i]
        shares = logits.softmax(-1)
        seen = torch.bmm(shares, image.values.transpose(1, 2))
        if dense.hidden is not None:
            seen += (shares @ dense.hidden[i].t()) @ (attention.value @ dense.weight).transpose(1, 2)
        inner.append(seen)
    return attention.joined(torch.stack(inner) + constant)


def _first_answer(
    layer: _Layer, key: Tensor, value: Tensor, terms: list[ImageTerms], dense: DensePrompt
) -> list[Tensor]:
    """Return embeddings plus dense prompts, of which terms are known, each plus its attention to tokens (M, T, C)."""
    attention = layer.to_tokens
    keys = attention.tokens(attention.key, attention.key_bias, key) * attention.scale
    offsets = keys @ (attention.query_bias[..., None] + attention.query @ dense.constant[:, None, :, None])
    # the shares of a head sum to one, so that a part of the constant in each adds up to it
    values = attention.shares_of_tokens(value) + dense.constant[:, None, None] / attention.heads
    answered = []
    for i, image in enumerate(terms):
        logits, taken = torch.baddbmm(offsets[i], keys[i], image.queries), values[i].flatten(0, 1)
        if dense.hidden is None:
            shares = logits.softmax(1).flatten(0, 1)
        else:
            logits += keys[i] @ (attention.query @ dense.weight) @ dense.hidden[i]
            shares = torch.cat([logits.softmax(1).flatten(0, 1), dense.hidden[i]])
            taken = torch.cat([taken, dense.weight.t()])
        answered.append(torch.addmm(image.cells, shares.t(), taken))
    return answered
