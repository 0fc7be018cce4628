"""The prompt encoder: clicks, boxes and mask prompts become embeddings (Kirillov et al. 2023, appendix A)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.layers import ContiguousGradient, LayerNorm2d
from ultrasam.structures.prompts import (
    BOX_BOTTOM_RIGHT,
    BOX_TOP_LEFT,
    FIRST_OUTPUT_TOKEN,
    NO_MASK,
    NOT_A_POINT,
    NUM_LABELS,
    NUM_OUTPUT_TOKENS,
)

_NO_MASK_PROMPTS = 'this model takes no mask prompts: build it with num_refinements >= 1'


@dataclass(frozen=True)
class DensePrompt:
    """What is added to the image embedding of M instances: ``constant + weight hidden``.

    Args:
        constant: (M or 1, C), float.
        weight: (C, D), float; (C, 0) for a model without mask prompts.
        hidden: (M, D, K), float, few channels of every cell; None where no instance has a mask.
    """

    constant: Tensor
    weight: Tensor
    hidden: Tensor | None


class PositionEncoding(nn.Module):
    """Random Fourier features of a position (Tancik et al. 2020).

    Args:
        num_features: length of the code; half sines, half cosines.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer('positional_encoding_gaussian_matrix', torch.randn(2, num_features // 2))

    def forward(self, unit_xy: Tensor) -> Tensor:
        """Code (..., num_features) of positions (..., 2), float, xy in [0, 1] of the padded input."""
        x, y = (2 * unit_xy - 1).split(1, -1)
        rows = self.positional_encoding_gaussian_matrix
        # no matrix product: mixed precision would round the angles
        angles = 2 * math.pi * (x * rows[0] + y * rows[1])
        return torch.cat([angles.sin(), angles.cos()], -1)


class LabelEmbedding(nn.Module):
    """One learned vector for each meaning that a token can have."""

    def __init__(self, embed_dims: int) -> None:
        super().__init__()
        self.label_embedding = nn.Embedding(NUM_LABELS, embed_dims)

    def forward(self, labels: Tensor) -> Tensor:
        """Vectors (..., embed_dims) of labels (...), int64."""
        return self.label_embedding(labels)


@MODELS.register_module()
class SamPromptEncoder(BaseModule):
    """Embeds prompt tokens, output tokens and mask prompts.

    Args:
        embed_dims: width of the decoder.
        img_size: side of the square, padded input in pixels.
        patch_size: side of a patch of the image encoder in pixels.
        mask_channels: hidden channels for mask prompts.
        mask_prompts: whether mask prompts can be embedded. The detector sets
            it to whether it refines: a published model that does not refine
            has no such weights.
        box_mask: what stands in for the mask prompt of an instance that has a
            box and no mask yet: ``'none'``, nothing, as published;
            ``'ellipse'``, the ellipse in the box, which spares a small model
            to decode the edges of a box from its two corner tokens.
        init_cfg: initialisation config of MMEngine.

    Raises:
        ConfigError: an unknown ``box_mask``, or one without mask prompts.
    """

    BOX_MASKS = ('none', 'ellipse')

    def __init__(
        self,
        *,
        embed_dims: int = 256,
        img_size: int = 1024,
        patch_size: int = 16,
        mask_channels: int = 16,
        mask_prompts: bool = True,
        box_mask: str = 'none',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if box_mask not in self.BOX_MASKS:
            raise ConfigError(f'box_mask {box_mask!r}: use one of {", ".join(self.BOX_MASKS)}')
        if box_mask != 'none' and not mask_prompts:
            raise ConfigError(
                f'box_mask {box_mask!r} needs a model that takes mask prompts: build it with num_refinements >= 1'
            )
        self.box_mask = box_mask
        self.img_size = img_size
        self.map_size = img_size // patch_size
        self.mask_prompt_size = 4 * self.map_size
        self.pe_layer = PositionEncoding(embed_dims)
        self.label_encoder = LabelEmbedding(embed_dims)
        self.mask_downscaling = (
            nn.Sequential(
                nn.Conv2d(1, mask_channels // 4, 2, stride=2),
                LayerNorm2d(mask_channels // 4),
                nn.GELU(),
                nn.Conv2d(mask_channels // 4, mask_channels, 2, stride=2),
                LayerNorm2d(mask_channels),
                nn.GELU(),
                nn.Conv2d(mask_channels, embed_dims, 1),
            )
            if mask_prompts
            else None
        )

    def tokens(self, coords: Tensor, labels: Tensor) -> Tensor:
        """Embed prompt tokens and append the output tokens.

        Args:
            coords: (M, T, 2), float, xy pixels of the padded input.
            labels: (M, T), int64, rows of the label table.

        Returns:
            (M, T + 5, embed_dims): the prompt tokens, the single-mask token,
            the three multimask tokens and the IoU token.
        """
        positions = self.pe_layer(coords / self.img_size)
        # a token that stands for no place carries no position
        positions = positions.masked_fill((labels == NOT_A_POINT)[..., None], 0.0)
        table = self.label_encoder.label_embedding.weight
        outputs = table[FIRST_OUTPUT_TOKEN : FIRST_OUTPUT_TOKEN + NUM_OUTPUT_TOKENS]
        prompts = self.label_encoder(labels) + positions
        return torch.cat([prompts, outputs.expand(len(coords), -1, -1)], 1)

    def dense(self, mask_prompt: Tensor | None, coords: Tensor, labels: Tensor) -> Tensor:
        """What is added to the image embedding of an instance.

        Args:
            mask_prompt: (M, 1, 4 * map, 4 * map), float, mask logits over the
                padded input, or None.
            coords: (M, T, 2), float, as for :meth:`tokens`.
            labels: (M, T), int64, as for :meth:`tokens`.

        Returns:
            (M, embed_dims, map, map), or (1, embed_dims, 1, 1) without mask.

        Raises:
            ConfigError: a mask prompt for a model built without them.
        """
        if mask_prompt is not None:
            if self.mask_downscaling is None:
                raise ConfigError(_NO_MASK_PROMPTS)
            return self._downscaled(mask_prompt)
        no_mask = self.label_encoder.label_embedding.weight[NO_MASK].view(1, -1, 1, 1)
        if self.box_mask == 'none' or self.mask_downscaling is None:
            return no_mask
        logits, is_box = self._drawn(coords, labels)
        drawn = self._downscaled(logits)
        return torch.where(is_box[:, None, None, None], drawn, no_mask.to(drawn.dtype))

    def dense_parts(self, mask_prompt: Tensor | None, coords: Tensor, labels: Tensor) -> DensePrompt:
        """:meth:`dense`, which takes the same arguments, before its last layer."""
        layers: Any = self.mask_downscaling
        no_mask = self.label_encoder.label_embedding.weight[NO_MASK][None]
        if mask_prompt is None and (self.box_mask == 'none' or layers is None):
            return DensePrompt(no_mask, no_mask.new_zeros((no_mask.shape[1], 0)), None)
        if layers is None:
            raise ConfigError(_NO_MASK_PROMPTS)
        weight, bias = layers[-1].weight.flatten(1), layers[-1].bias[None]
        if mask_prompt is not None:
            return DensePrompt(bias, weight, self._hidden(mask_prompt).flatten(2))
        logits, is_box = self._drawn(coords, labels)
        hidden = self._hidden(logits).flatten(2) * is_box[:, None, None]
        return DensePrompt(torch.where(is_box[:, None], bias, no_mask), weight, hidden)

    def _drawn(self, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (M, 1, 4 * map, 4 * map) of the ellipses in boxes, and which instances have a box: (M,), bool."""
        first, last = labels == BOX_TOP_LEFT, labels == BOX_BOTTOM_RIGHT
        boxes = torch.cat([(coords * corner[..., None]).sum(1) for corner in (first, last)], 1)
        return ellipse_logits(boxes, self.img_size, self.mask_prompt_size)[:, None], first.any(1)

    def _hidden(self, masks: Tensor) -> Tensor:
        """All layers but the last, on mask logits (M, 1, 4 * map, 4 * map): (M, mask_channels, map, map)."""
        layers: Any = self.mask_downscaling
        for layer in layers[:-1]:
            masks = layer(masks)
        return masks

    def _downscaled(self, masks: Tensor) -> Tensor:
        """Embed mask logits (M, 1, 4 * map, 4 * map): (M, embed_dims, map, map), channels last in memory."""
        layers: Any = self.mask_downscaling
        last = layers[-1]
        # the GELU of torch 2.1 on a CPU takes a gradient with channels last for one without
        hidden = ContiguousGradient.apply(self._hidden(masks))
        cells = hidden.flatten(2).transpose(1, 2)
        embedded = F.linear(cells, last.weight.flatten(1), last.bias)
        return embedded.transpose(1, 2).unflatten(2, hidden.shape[-2:])

    def dense_positions(self) -> Tensor:
        """Position codes (map * map, embed_dims) of the cells of the image embedding, row by row."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        centres = (
            torch.arange(self.map_size, device=matrix.device, dtype=matrix.dtype) + 0.5
        ) / self.map_size
        y, x = torch.meshgrid(centres, centres, indexing='ij')
        return self.pe_layer(torch.stack([x, y], -1)).flatten(0, 1)


def ellipse_logits(boxes: Tensor, input_size: int, size: int) -> Tensor:
    """Mask logits of the ellipse in each box.

    Near its edge they grow by one a cell along the shorter axis; outside the
    box they are at their least.

    Args:
        boxes: (M, 4), float, xyxy pixels of the padded input.
        input_size: side of the padded input in pixels.
        size: side of the maps in cells.

    Returns:
        (M, size, size), float, from -8 to 8.
    """
    boxes = boxes.float() * (size / input_size)
    centre, radius = (boxes[:, :2] + boxes[:, 2:]) / 2, ((boxes[:, 2:] - boxes[:, :2]) / 2).clamp(min=0.5)
    cells = torch.arange(size, device=boxes.device, dtype=boxes.dtype) + 0.5
    x, y = ((cells - centre[:, axis, None]) / radius[:, axis, None] for axis in (0, 1))
    distance = (x[:, None, :].square() + y[:, :, None].square()).sqrt()
    logits = (radius.amin(1)[:, None, None] * (1 - distance)).clamp(-4, 8)
    inside = (x.abs() <= 1)[:, None, :] & (y.abs() <= 1)[:, :, None]
    return logits.masked_fill(~inside, -8.0)
