"""The mask decoder: prompt and output tokens exchange with the image, then become masks (Kirillov et al. 2023)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ultrasam.models.layers import LayerNorm2d, Mlp
from ultrasam.structures.prompts import NUM_OUTPUT_TOKENS

NUM_MASKS = NUM_OUTPUT_TOKENS - 1

# of the four masks of a prompt: the single one, and the three of which a prompt that is ambiguous means one
SINGLE_MASK = slice(0, 1)
MULTI_MASK = slice(1, NUM_MASKS)


class Decoded(NamedTuple):
    """What the mask decoder finds for M prompts.

    Args:
        logits: (M, 4, 4h, 4w), float, mask logits over the padded input: the single mask, then the three candidates.
        iou: (M, 4), float, predicted IoU of each.
        tokens: (M, T, C), float, tokens after the transformer; the last five are four mask tokens and the IoU token.
        image: (M, C, h, w), float, image after the transformer.
    """

    logits: Tensor
    iou: Tensor
    tokens: Tensor
    image: Tensor


class MaskDecoder(nn.Module):
    """Predicts four masks and their quality for each prompt.

    Args:
        transformer: Maps tokens (M, T, C), image (M, C, h, w) and its position codes (h * w, C) to tokens and image,
            such as :class:`~ultrasam.models.two_way_transformer.SamTwoWayTransformer`.
        embed_dims: Width C of tokens and image.
        iou_head_dims: Hidden width of the IoU head.
    """

    def __init__(self, transformer: nn.Module, *, embed_dims: int = 256, iou_head_dims: int = 256) -> None:
        super().__init__()
        self.transformer = transformer
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(embed_dims, embed_dims // 4, 2, stride=2),
            LayerNorm2d(embed_dims // 4),
            nn.GELU(),
            nn.ConvTranspose2d(embed_dims // 4, embed_dims // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            Mlp(embed_dims, embed_dims, embed_dims, embed_dims // 8) for _ in range(NUM_MASKS)
        )
        self.iou_prediction_head = Mlp(embed_dims, iou_head_dims, iou_head_dims, NUM_MASKS)

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor, dense: Tensor) -> Decoded:
        """Decode the prompts of M instances.

        Args:
            image: (M, C, h, w), float, image embedding of each instance.
            image_pe: (h * w, C), float, position codes of its cells.
            tokens: (M, T, C), float, prompt tokens, then the five output tokens.
            dense: (M or 1, C, h or 1, w or 1), float, what the mask prompt adds to the image.
        """
        tokens, image = self.transformer(tokens, image + dense, image_pe)
        mask_tokens, iou_token = tokens[:, -NUM_OUTPUT_TOKENS:-1], tokens[:, -1]
        hyper = torch.stack(
            [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], 1
        )
        upscaled = self.output_upscaling(image)
        logits = (hyper @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
        return Decoded(logits, self.iou_prediction_head(iou_token), tokens, image)
