"""The model as the two graphs that users of ONNX expect: image to embedding, embedding and prompts to masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ultrasam.models.mask_decoder import NUM_MASKS
from ultrasam.models.preprocessing import Preprocessing
from ultrasam.models.ultrasam import UltraSam
from ultrasam.structures.prompts import BOX_TOP_LEFT, NEGATIVE_POINT, NOT_A_POINT, NUM_LABELS

# labels of segment-anything: 0 and 1 are clicks, 2 and 3 the corners of a box, -1 stands for no place
_PADDING = -1
_FIRST_CORNER = BOX_TOP_LEFT - NEGATIVE_POINT
_LAST_LABEL = 3

# in segment-anything the first mask counts for this much more with each prompt token above 2.5, or less below
_TOKENS_OF_A_LONE_PROMPT = 2.5
_PREFERENCE = 1000.0


class PlainEncoder(nn.Module):
    """Image embedding of an input that was normalised and padded outside.

    Args:
        model: the model whose encoder it is.
    """

    def __init__(self, model: UltraSam) -> None:
        super().__init__()
        self.backbone = model.image_encoder

    def forward(self, input_image: Tensor) -> Tensor:
        """Encode (1, 3, S, S), float32, RGB, normalised, zero-padded: (1, C, S / patch, S / patch)."""
        return self.backbone(input_image)


class PixelEncoder(nn.Module):
    """Image embedding of plain pixels: normalisation and padding are part of the graph.

    Args:
        model: the model whose encoder it is.
        preprocessing: what prepares its images.
    """

    def __init__(self, model: UltraSam, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.backbone = model.image_encoder
        self.size = model.prompt_encoder.img_size
        self.preprocessing = preprocessing

    def forward(self, input_image: Tensor) -> Tensor:
        """Encode pixels.

        Args:
            input_image: (H, W, 3), float32, RGB, 0 to 255, resized so that
                neither side is longer than the input of the network, S.

        Returns:
            (1, C, S / patch, S / patch), float32.
        """
        image = self.preprocessing.normalise(input_image.permute(2, 0, 1))
        height, width = image.shape[1], image.shape[2]
        padded = F.pad(image, (0, self.size - width, 0, self.size - height))
        # the shape is written out, so that the rest of the graph is static
        return self.backbone(padded.reshape(1, 3, self.size, self.size))


class PromptDecoder(nn.Module):
    """One pass of the decoder behind the six inputs and three outputs of segment-anything's ONNX decoder.

    Args:
        model: the model whose decoder it is.
        single_mask: choose one mask as segment-anything does: of the last
            three the one of highest predicted IoU for up to two prompt
            tokens, the first for more. Otherwise all four are returned.
        drop_padding_beside_box: leave out tokens of no place where there is a
            box, for clients that always append one: the model has seen it
            beside clicks only. They still count for the choice.
    """

    def __init__(
        self, model: UltraSam, *, single_mask: bool = True, drop_padding_beside_box: bool = False
    ) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder
        self.single_mask = single_mask
        self.drop_padding_beside_box = drop_padding_beside_box
        self.size = model.prompt_encoder.img_size

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        orig_im_size: Tensor,
    ) -> tuple[Tensor, ...]:
        """Masks of one object.

        Args:
            image_embeddings: (1, C, h, w), float32.
            point_coords: (1, T, 2), float32, xy pixels of the resized image.
            point_labels: (1, T), float32: 1 on the object, 0 off it, 2 and 3
                the corners of a box, -1 no place; T >= 1.
            mask_input: (1, 1, 4h, 4w), float32, logits of an earlier answer.
            has_mask_input: (1,), float32, 1 to use ``mask_input``, 0 not to.
            orig_im_size: (2,), float32, height and width of the original image.

        Returns:
            ``masks`` (1, M, H, W), logits at the size of the original image;
            ``iou_predictions`` (1, M); ``low_res_masks`` (1, M, 4h, 4w).
        """
        logits, iou = self.decode(image_embeddings, point_coords, point_labels, mask_input, has_mask_input)
        if self.single_mask:
            logits, iou = self.choose(logits, iou, point_coords.shape[1])
        return self.at_image_size(logits, orig_im_size), iou, logits

    def decode(
        self, embedding: Tensor, coords: Tensor, labels: Tensor, mask: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """All four masks (1, 4, 4h, 4w), as logits over the padded input, and their predicted IoU (1, 4)."""
        rows = table_rows(labels)
        if self.drop_padding_beside_box:
            kept = (labels[0] >= 0) | (labels[0] < _FIRST_CORNER).all()
            index = kept.nonzero()[:, 0]
            coords, rows = coords[:, index], rows[:, index]
        # the centre of the first pixel is (0, 0) outside and (0.5, 0.5) inside
        coords = coords + 0.5
        tokens = self.prompt_encoder.tokens(coords, rows)
        dense = self.dense(coords, rows, mask, has_mask)
        decoded = self.mask_decoder(embedding, self.prompt_encoder.dense_positions(), tokens, dense)
        return decoded.logits, decoded.iou

    def dense(self, coords: Tensor, rows: Tensor, mask: Tensor, has_mask: Tensor) -> Tensor:
        """What is added to the embedding: that of the mask prompt if there is one, else that of the prompts."""
        without = self.prompt_encoder.dense(None, coords, rows)
        if self.prompt_encoder.mask_downscaling is None:
            # the interface has the two inputs: they are read, and change nothing
            return without + 0 * has_mask * mask.mean()
        return torch.where(has_mask > 0.5, self.prompt_encoder.dense(mask, coords, rows), without)

    @staticmethod
    def choose(logits: Tensor, iou: Tensor, num_tokens: int) -> tuple[Tensor, Tensor]:
        """The mask (1, 1, h, w) and the IoU (1, 1) that segment-anything would show."""
        is_first = (torch.arange(NUM_MASKS, device=iou.device) == 0).to(iou.dtype)
        best = (iou + _PREFERENCE * (num_tokens - _TOKENS_OF_A_LONE_PROMPT) * is_first).argmax(1)
        return logits[:, best], iou[:, best]

    def at_image_size(self, logits: Tensor, image_hw: Tensor) -> Tensor:
        """Logits (1, M, H, W) of the original image; the crop is computed in the graph, for any aspect ratio."""
        resized_hw = torch.floor(image_hw * (self.size / image_hw.max()) + 0.5).to(torch.int64)
        image_hw = image_hw.to(torch.int64)
        logits = F.interpolate(logits, (self.size, self.size), mode='bilinear', align_corners=False)
        logits = logits[..., : resized_hw[0], : resized_hw[1]]
        # scalars of the graph, which tracing keeps free
        size: Any = (image_hw[0], image_hw[1])
        return F.interpolate(logits, size, mode='bilinear', align_corners=False)


class CroppingDecoder(PromptDecoder):
    """The decoder for CVAT: one mask, cut to its bounding box, and the box."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Decode as :class:`PromptDecoder` does, then crop.

        Args:
            inputs: the six inputs of :class:`PromptDecoder`.

        Returns:
            ``xtl``, ``ytl``, ``xbr``, ``ybr``: (1,), int32, first and last
            column and row of the mask, both inclusive, zeros if it is empty;
            ``masks`` (1, 1, ybr - ytl + 1, xbr - xtl + 1), logits;
            ``low_res_masks`` (1, 1, 4h, 4w).
        """
        masks, _, logits = super().forward(*inputs)
        inside = masks[0, 0] > 0
        (left, right), (top, bottom) = bounds(inside.any(0)), bounds(inside.any(1))
        cropped = masks[:, :, top : bottom + 1, left : right + 1]
        corners = (corner.to(torch.int32).reshape(1) for corner in (left, top, right, bottom))
        return (*corners, cropped, logits)


def table_rows(labels: Tensor) -> Tensor:
    """Rows of the label table (1, T), int64, of segment-anything's labels (1, T), float.

    An unknown label becomes a row that the table does not have, so that the
    runtime stops at it rather than answer something else.
    """
    rows = torch.where(labels == _PADDING, NOT_A_POINT, labels.to(torch.int64) + NEGATIVE_POINT)
    known = (labels >= _PADDING) & (labels <= _LAST_LABEL)
    return torch.where(known, rows, NUM_LABELS)


def bounds(there: Tensor) -> Sequence[Tensor]:
    """First and last index, int64 scalars, at which ``there`` (N,), bool, is true; zeros if nowhere."""
    index = torch.arange(there.shape[0], device=there.device) * there
    return there.to(torch.int64).argmax(0), index.max()
