"""The decoder at inference on a CPU: what its modules compute, with the work that prompts share done once.

Three things make it cheap, none of which changes the function:

- With few tokens and many cells, ``(W x) . q = x . (W^T q)`` and ``sum a (W x) = W sum a x``: tokens are projected
  twice, and no cell is.
- The first layer sees the image embedding plus what stands for a mask prompt, ``constant + weight hidden`` with few
  hidden channels. Its products with the embedding alone serve all prompts of an image, and are kept for the next
  prompt; constant and hidden channels go through the tokens.
- Images stay (cells, channels) in memory, and logits (tokens, cells), so that nothing is transposed and the long axis
  is the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ultrasam.models.allocator import keep_freed_memory
from ultrasam.models.products import product
from ultrasam.models.prompt_encoder import DensePrompt
from ultrasam.models.two_way_transformer import (
    ImageToTokens,
    SamTwoWayTransformer,
    TokensToImage,
    TwoWayLayer,
)
from ultrasam.structures.prompts import NUM_OUTPUT_TOKENS

_IMAGES_KEPT = 8


@dataclass(frozen=True)
class ImageTerms:
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


class ImageMemory:
    """Terms of the images of the last embedding, made once for all prompts and passes.

    Terms are made anew when the embedding or a weight that they depend on has changed. They take 10 MB an image of
    the published size, and are neither copied nor pickled with a model.
    """

    def __init__(self) -> None:
        self.forget()

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageMemory:
        return type(self)()

    def __reduce__(self) -> tuple[type[ImageMemory], tuple[()]]:
        return type(self), ()

    def forget(self) -> None:
        """Free everything."""
        self._weights: list[Tensor] = []
        self._positions: Tensor | None = None
        self._embedding: Tensor | None = None
        self._version = -1
        self._terms: dict[int, ImageTerms] = {}

    def positions(self, prompt_encoder: Any) -> Tensor:
        """Position codes (K, C) of the cells."""
        self._follow([prompt_encoder.pe_layer.positional_encoding_gaussian_matrix], 0)
        if self._positions is None:
            self._positions = prompt_encoder.dense_positions().contiguous()
        return self._positions

    def terms(
        self, embedding: Tensor, images: list[int], positions: Tensor, layer: TwoWayLayer
    ) -> dict[int, ImageTerms]:
        """Terms of some images.

        Args:
            embedding: (B, C, h, w), float32.
            images: which of the B.
            positions: (K, C), float32, as :meth:`positions` gave them.
            layer: the first of the decoder.
        """
        looking, answering = layer.cross_attn_token_to_image.attn, layer.cross_attn_image_to_token.attn
        self._follow([looking.k_proj_weight, looking.v_proj_weight, answering.q_proj_weight], 1)
        if not self._is_known(embedding):
            self._terms = {}
            self._embedding = None if embedding.is_inference() else embedding
            self._version = -1 if embedding.is_inference() else embedding._version
        found = {i: self._terms.get(i) or image_terms(embedding[i], positions, layer) for i in images}
        if self._embedding is not None:
            self._terms = dict(list({**self._terms, **found}.items())[-_IMAGES_KEPT:])
        return found

    def _follow(self, weights: list[Tensor], start: int) -> None:
        """Forget all if weights changed; values are compared, as changes through ``.data`` leave no other trace."""
        known = self._weights[start : start + len(weights)]
        if len(known) == len(weights) and all(map(torch.equal, known, weights)):
            return
        kept = self._weights[:start]
        self.forget()
        self._weights = [*kept, *(weight.detach().clone() for weight in weights)]

    def _is_known(self, embedding: Tensor) -> bool:
        known = self._embedding
        return (
            known is not None
            and not embedding.is_inference()
            and known.data_ptr() == embedding.data_ptr()
            and known.shape == embedding.shape
            and known.stride() == embedding.stride()
            and self._version == embedding._version
        )


def image_terms(embedding: Tensor, positions: Tensor, layer: TwoWayLayer) -> ImageTerms:
    """Terms of one image embedding (C, h, w), given the position codes (K, C) of its cells."""
    keep_freed_memory()
    cells = embedding.flatten(1).t().contiguous()
    placed = cells + positions
    looking, answering = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    keys, values, queries = (
        product(weight, seen).unflatten(0, (attention.num_heads, -1))
        for attention, weight, seen in (
            (looking, looking.attn.k_proj_weight, placed),
            (looking, looking.attn.v_proj_weight, cells),
            (answering, answering.attn.q_proj_weight, placed),
        )
    )
    return ImageTerms(cells, keys, values, queries)


def decode_folded(
    decoder: SamTwoWayTransformer,
    tokens: Tensor,
    terms: list[ImageTerms],
    dense: DensePrompt,
    positions: Tensor,
) -> tuple[Tensor, Tensor]:
    """Decode the tokens of M instances, as :meth:`SamTwoWayTransformer.forward` does in evaluation.

    Args:
        decoder: the transformer.
        tokens: (M, T, C), float32; they are their own position codes.
        terms: of the image of each instance.
        dense: what is added to the image of each instance.
        positions: (K, C), float32, position codes of the cells.

    Returns:
        The last five tokens (M, 5, C), which are those of masks and IoU, and image (M, K, C) after the exchange.
    """
    token_pe = tokens
    images: list[Tensor] = []
    placed: list[Tensor] = []
    layers: Any = decoder.layers
    for layer in layers:
        tokens = layer.between_tokens(tokens, token_pe)
        query = tokens + token_pe
        looking, answering = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
        seen = _look(looking, query, images, placed) if images else _first_look(looking, query, terms, dense)
        tokens = layer.feed_forward(layer.norm2(tokens + seen))
        key = tokens + token_pe
        images = (
            _answer(answering, key, tokens, images, placed)
            if images
            else _first_answer(answering, key, tokens, terms, dense)
        )
        images = [layer.norm4(image) for image in images]
        placed = [image + positions for image in images]
    # what the tokens of prompts would see now, nobody asks for
    tokens, token_pe = tokens[:, -NUM_OUTPUT_TOKENS:], token_pe[:, -NUM_OUTPUT_TOKENS:]
    seen = _look(decoder.final_attn_token_to_image, tokens + token_pe, images, placed)
    image = images[0][None] if len(images) == 1 else torch.stack(images)
    return decoder.post_norm(tokens + seen), image


def _look(attention: TokensToImage, query: Tensor, images: list[Tensor], placed: list[Tensor]) -> Tensor:
    """Attention of tokens (M, T, C) to M images (K, C), without and with positions: (M, T, C)."""
    folded = attention.folded_queries(query).flatten(1, 2)
    seen = [
        product(product(rows, keys).softmax(-1), image.t())
        for rows, keys, image in zip(folded, placed, images, strict=True)
    ]
    return attention.folded_output(torch.stack(seen).unflatten(1, (attention.num_heads, -1)))


def _answer(
    attention: ImageToTokens, key: Tensor, value: Tensor, images: list[Tensor], placed: list[Tensor]
) -> list[Tensor]:
    """M images (K, C), each plus its attention to tokens (M, T, C), with positions and without."""
    keys, values = attention.folded_keys(key), attention.folded_values(value)
    offsets, folded = attention.key_offsets(keys), attention.keys_for_cells(keys)
    answered = []
    for rows, offset, of_tokens, image, cells in zip(folded, offsets, values, images, placed, strict=True):
        logits = product(rows.flatten(0, 1), cells).unflatten(0, offset.shape[:2]).add_(offset)
        shares = logits.softmax(1).flatten(0, 1)
        answered.append(product(shares.t(), of_tokens.flatten(0, 1).t(), add=image))
    return answered


def _first_look(
    attention: TokensToImage, query: Tensor, terms: list[ImageTerms], dense: DensePrompt
) -> Tensor:
    """:func:`_look` at embeddings plus dense prompts, of which terms are known: (M, T, C).

    A constant shifts all keys of a token alike, which the softmax does not notice, and adds itself to the values.
    """
    queries, value_weight = attention.queries(query), attention.per_head(attention.attn.v_proj_weight)
    logits = [torch.bmm(rows, image.keys) for rows, image in zip(queries, terms, strict=True)]
    if dense.hidden is not None:
        through_keys = queries @ (attention.per_head(attention.attn.k_proj_weight) @ dense.weight)
        for whole, rows, hidden in zip(logits, through_keys, dense.hidden, strict=True):
            whole += rows @ hidden
    shares = [whole.softmax(-1) for whole in logits]
    inner = torch.stack(
        [torch.bmm(share, image.values.transpose(1, 2)) for share, image in zip(shares, terms, strict=True)]
    )
    if dense.hidden is not None:
        seen = [share @ hidden.t() for share, hidden in zip(shares, dense.hidden, strict=True)]
        inner = inner + torch.stack(seen) @ (value_weight @ dense.weight).transpose(1, 2)
    return attention.joined(inner + (value_weight @ dense.constant[:, None, :, None]).transpose(2, 3))


def _first_answer(
    attention: ImageToTokens, key: Tensor, value: Tensor, terms: list[ImageTerms], dense: DensePrompt
) -> list[Tensor]:
    """:func:`_answer` of embeddings plus dense prompts, of which terms are known, the sum included."""
    keys, values = attention.folded_keys(key), attention.folded_values(value)
    query_weight = attention.per_head(attention.attn.q_proj_weight)
    offsets = attention.key_offsets(keys) + keys @ (query_weight @ dense.constant[:, None, :, None])
    # the shares of a head sum to one, so that a part of the constant in each adds up to it
    values = (values + dense.constant[:, None, None] / attention.num_heads).flatten(1, 2)
    answered = []
    for i, image in enumerate(terms):
        logits, of_tokens = torch.baddbmm(offsets[i], keys[i], image.queries), values[i]
        if dense.hidden is None:
            shares = logits.softmax(1).flatten(0, 1)
        else:
            logits += keys[i] @ (query_weight @ dense.weight) @ dense.hidden[i]
            shares = torch.cat([logits.softmax(1).flatten(0, 1), dense.hidden[i]])
            of_tokens = torch.cat([of_tokens, dense.weight.t()])
        answered.append(product(shares.t(), of_tokens.t(), add=image.cells))
    return answered
