"""The prompt encoder: clicks, boxes and mask prompts become embeddings (Kirillov et al. 2023, appendix A)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.layers import LayerNorm2d
from ultrasam.structures.prompts import (
    BOX_BOTTOM_RIGHT,
    BOX_TOP_LEFT,
    FIRST_OUTPUT_TOKEN,
    NO_MASK,
    NOT_A_POINT,
    NUM_LABELS,
    NUM_OUTPUT_TOKENS,
)


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


class SamPromptEncoder(nn.Module):
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
    ) -> None:
        super().__init__()
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

    def forward(self, coords: Tensor, labels: Tensor, mask_prompt: Tensor | None) -> tuple[Tensor, Tensor]:
        """Embed the prompts of M instances: :meth:`tokens` and :meth:`dense`."""
        return self.tokens(coords, labels), self.dense(mask_prompt, coords, labels)

    def tokens(self, coords: Tensor, labels: Tensor) -> Tensor:
        """Embed prompt tokens and append the output tokens, which are rows of the same published table.

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
        """Return what is added to the image embedding of an instance.

        Args:
            mask_prompt: (M, 1, 4 * map, 4 * map), float, mask logits over the
                padded input, or None.
            coords: (M, T, 2), float, as for :meth:`tokens`.
            labels: (M, T), int64, as for :meth:`tokens`.

        Returns:
            (M, embed_dims, map, map), or (1, embed_dims, 1, 1) without mask.

        Raises:
            ConfigError: A mask prompt for a model that was built without them.
        """
        no_mask = self.label_encoder.label_embedding.weight[NO_MASK].view(1, -1, 1, 1)
        if mask_prompt is not None:
            if self.mask_downscaling is None:
                raise ConfigError('this model takes no mask prompts: build it with num_refinements >= 1')
            return self.mask_downscaling(mask_prompt)
        if self.box_mask == 'none' or self.mask_downscaling is None:
            return no_mask
        first, last = labels == BOX_TOP_LEFT, labels == BOX_BOTTOM_RIGHT
        boxes = torch.cat([(coords * corner[..., None]).sum(1) for corner in (first, last)], 1)
        drawn = self.mask_downscaling(ellipse_logits(boxes, self.img_size, self.mask_prompt_size)[:, None])
        return torch.where(first.any(1)[:, None, None, None], drawn, no_mask.to(drawn.dtype))

    def dense_positions(self) -> Tensor:
        """Return position codes (map * map, embed_dims) of the cells of the image embedding, row by row."""
        matrix = self.pe_layer.positional_encoding_gaussian_matrix
        centres = (
            torch.arange(self.map_size, device=matrix.device, dtype=matrix.dtype) + 0.5
        ) / self.map_size
        y, x = torch.meshgrid(centres, centres, indexing='ij')
        return self.pe_layer(torch.stack([x, y], -1)).flatten(0, 1)


def ellipse_logits(boxes: Tensor, input_size: int, size: int) -> Tensor:
    """Return mask logits of the ellipse in each box.

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
