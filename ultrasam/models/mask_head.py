"""The mask head: mask logits and predicted IoU from decoded tokens, their losses and their post-processing."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from mmengine.model import BaseModule
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.layers import LayerNorm2d, Mlp
from ultrasam.models.postprocess import MASK_UPSAMPLINGS
from ultrasam.models.products import is_plain_inference, product
from ultrasam.structures.prompts import NUM_OUTPUT_TOKENS

NUM_MASKS = NUM_OUTPUT_TOKENS - 1

# which mask tokens a pass decodes
SINGLE_MASK = slice(0, 1)
MULTI_MASK = slice(1, NUM_MASKS)
ALL_MASKS = slice(0, NUM_MASKS)

# upscaled at once in inference on a CPU: 16 MB of the largest steps
_CELLS_IN_CACHE = 4096


@MODELS.register_module()
class SamMaskHead(BaseModule):
    """Predicts masks as products of an upscaled image map and one hypernetwork a mask token.

    Args:
        loss_dice: config of the Dice loss on mask probabilities; None, here and
            below, builds a head for inference alone.
        loss_focal: config of the focal loss on mask logits.
        loss_iou: config of the loss between predicted and true IoU.
        iou_supervision: candidates whose predicted IoU is trained: ``'best'``,
            the one that overlaps most, as published; ``'all'``, so that the
            others do not claim an overlap that they lack.
        embed_dims: width of the decoder.
        iou_head_dims: hidden width of the IoU head.
        mask_upsampling: how logits become masks at image size: ``'binary'``
            thresholds first, as the published figures were made; ``'logits'``
            interpolates first, which is nearer to the truth.
        init_cfg: initialisation config of MMEngine.

    Raises:
        ConfigError: an unknown ``mask_upsampling`` or ``iou_supervision``.
    """

    IOU_SUPERVISIONS = ('best', 'all')

    def __init__(
        self,
        *,
        loss_dice: dict | None = None,
        loss_focal: dict | None = None,
        loss_iou: dict | None = None,
        iou_supervision: str = 'best',
        embed_dims: int = 256,
        iou_head_dims: int = 256,
        mask_upsampling: str = 'binary',
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if mask_upsampling not in MASK_UPSAMPLINGS:
            raise ConfigError(
                f'mask_upsampling {mask_upsampling!r}: use one of {", ".join(MASK_UPSAMPLINGS)}'
            )
        if iou_supervision not in self.IOU_SUPERVISIONS:
            raise ConfigError(
                f'iou_supervision {iou_supervision!r}: use one of {", ".join(self.IOU_SUPERVISIONS)}'
            )
        self._linear: tuple[list[Tensor], list[tuple[Tensor, Tensor]]] | None = None
        self.mask_upsampling = mask_upsampling
        self.iou_supervision = iou_supervision
        quarter, eighth = embed_dims // 4, embed_dims // 8
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(embed_dims, quarter, 2, stride=2),
            LayerNorm2d(quarter),
            nn.GELU(),
            nn.ConvTranspose2d(quarter, eighth, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            Mlp(embed_dims, embed_dims, embed_dims, eighth) for _ in range(NUM_MASKS)
        )
        self.iou_prediction_head = Mlp(embed_dims, iou_head_dims, iou_head_dims, NUM_MASKS)
        self.losses = nn.ModuleDict(
            {
                name: MODELS.build(config)
                for name, config in (('dice', loss_dice), ('focal', loss_focal), ('iou', loss_iou))
                if config is not None
            }
        )

    def forward(
        self, tokens: Tensor, image: Tensor, *, candidates: slice, best_only: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Predict masks and their quality.

        Args:
            tokens: (M, T, C), float, decoded tokens; the last five are four
                mask tokens and the IoU token.
            image: (M, C, H, W), float, decoded image.
            candidates: which of the four masks are wanted, K of them.
            best_only: of these the one with the highest predicted IoU alone: K is 1.

        Returns:
            Mask logits (M, K, 4H, 4W) over the padded input, and predicted
            IoU (M, K).
        """
        mask_tokens, iou_token = tokens[:, -NUM_OUTPUT_TOKENS:-1], tokens[:, -1]
        iou = self.iou_prediction_head(iou_token)[:, candidates]
        is_inference = is_plain_inference(image) and not self.training and len(tokens) > 0
        # in training every hypernetwork runs, so that none is without gradient in a distributed step
        wanted = range(NUM_MASKS)[candidates] if is_inference else range(NUM_MASKS)
        best = iou.argmax(1, keepdim=True) if best_only else None
        if best is not None and is_inference and len(best) == 1:
            # without the hypernetworks of the others
            wanted, iou, best = wanted[int(best) : int(best) + 1], iou.gather(1, best), None
        hyper = self._hyper(mask_tokens, wanted)
        hyper = hyper if is_inference else hyper[:, candidates]
        if best is not None:
            iou, hyper = iou.gather(1, best), hyper.gather(1, best[..., None].expand(-1, -1, hyper.shape[2]))
        products = self._folded_products if is_inference else self._upscaled_products
        return products(image, hyper), iou

    def _hyper(self, mask_tokens: Tensor, wanted: range) -> Tensor:
        """Vectors (M, K, C / 8) of the wanted ones of the mask tokens (M, 4, C)."""
        return torch.stack([self.output_hypernetworks_mlps[i](mask_tokens[:, i]) for i in wanted], 1)

    def _folded_products(self, image: Tensor, hyper: Tensor) -> Tensor:
        """:meth:`_upscaled_products` for inference on a CPU, of as many cells at once as stay in its cache."""
        layers: Any = self.output_upscaling
        first, norm, _, second, _ = layers
        weights, biases = zip(*self._linear_layers(first, second), strict=True)
        logits = []
        for of_image, of_masks in zip(image.flatten(2).transpose(1, 2), hyper, strict=True):
            parts = []
            for cells in of_image.split(_CELLS_IN_CACHE):
                x = product(cells, weights[0], bias=biases[0]).view(-1, len(norm.weight))
                x = torch.ops.aten.gelu_(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
                x = torch.ops.aten.gelu_(product(x, weights[1], bias=biases[1]))
                parts.append(product(of_masks, x.view(-1, of_masks.shape[1])))
            logits.append(torch.cat(parts, 1))
        # a gather is faster than a permutation of so many axes, and of two axes faster than of three
        maps = torch.cat(logits).index_select(1, _order_of_cells(*image.shape[-2:]))
        return maps.view(*hyper.shape[:2], 4 * image.shape[-2], 4 * image.shape[-1])

    def _linear_layers(self, *layers: nn.ConvTranspose2d) -> list[tuple[Tensor, Tensor]]:
        """:func:`_weights_of_cells` of layers; made anew when one has changed, which may leave no trace but values."""
        now: list[Any] = [tensor for layer in layers for tensor in (layer.weight, layer.bias)]
        if self._linear is None or not all(map(torch.equal, now, self._linear[0])):
            kept = [tensor.detach().clone() for tensor in now]
            self._linear = kept, [_weights_of_cells(layer) for layer in layers]
        return self._linear[1]

    def _upscaled_products(self, image: Tensor, hyper: Tensor) -> Tensor:
        """Mask logits (M, K, 4H, 4W): ``output_upscaling`` of the image (M, C, H, W) times hyper (M, K, C / 8).

        A transposed convolution whose stride is its size maps each cell to its
        own square, and nothing after it mixes cells: channels stay last, and
        only the finished logits are put where they belong.
        """
        layers: Any = self.output_upscaling
        # one by one, which the compiler of torch 2.1 understands
        first, norm, activation = layers[0], layers[1], layers[2]
        height, width = image.shape[-2:]
        x = _cell_by_cell(first, image.flatten(2).transpose(1, 2))
        x = activation(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        x = layers[4](_cell_by_cell(layers[3], x))
        logits = torch.bmm(x.flatten(1, -2), hyper.transpose(1, 2))
        # cell row, cell column, then row and column within it, coarse before fine
        logits = logits.unflatten(1, (height, width, 2, 2, 2, 2)).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return logits.flatten(5, 7).flatten(2, 4)

    def loss(self, logits: Tensor, predicted_iou: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Losses on the candidate that overlaps its target best.

        Means are over all instances of all processes, so that a step does not
        depend on how a batch is divided among them.

        Args:
            logits: (M, K, H, W), float, mask logits.
            predicted_iou: (M, K), float.
            targets: (M, H, W), float, 0 or 1.

        Returns:
            ``loss_dice`` (V-Net form, Milletari et al. 2016), ``loss_focal``
            (Lin et al. 2017) and ``loss_iou``.

        Raises:
            ConfigError: the head was built without losses.
        """
        if len(self.losses) < 3:
            raise ConfigError(
                'a mask head without losses cannot train: give it loss_dice, loss_focal and loss_iou'
            )
        logits, predicted_iou = logits.float(), predicted_iou.float()
        with torch.no_grad():
            true_iou = mask_iou(logits > 0, targets[:, None] > 0)
            best = true_iou.argmax(1, keepdim=True)
        picked = logits.gather(1, best[..., None, None].expand(-1, -1, *logits.shape[2:])).flatten(1)
        targets = targets.flatten(1)
        instances = reduce_mean(logits.new_tensor(float(len(logits)))).clamp(min=1e-6)
        pixels = instances * targets.shape[1]
        if self.iou_supervision == 'best':
            predicted_iou, true_iou = predicted_iou.gather(1, best), true_iou.gather(1, best)
        return dict(
            loss_dice=self.losses['dice'](picked, targets, avg_factor=instances),
            loss_focal=self.losses['focal'](picked.reshape(-1, 1), targets.reshape(-1, 1), avg_factor=pixels),
            loss_iou=self.losses['iou'](
                predicted_iou, true_iou, avg_factor=instances * predicted_iou.shape[1]
            ),
        )


def _cell_by_cell(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """A transposed convolution of stride and size 2 on cells x (..., C): (..., row, column, D)."""
    return F.linear(x, *_weights_of_cells(layer)).unflatten(-1, (2, 2, -1))


@functools.lru_cache(maxsize=8)
def _order_of_cells(height: int, width: int) -> Tensor:
    """Where each cell (16 * height * width,) of upscaled logits, row by row, comes from."""
    order = torch.arange(16 * height * width).unflatten(0, (height, width, 2, 2, 2, 2))
    # cell row, coarse and fine row within it; then the same of columns
    return order.permute(0, 2, 4, 1, 3, 5).flatten()


def _weights_of_cells(layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """The same as a linear layer: weight (4 * D, C) and bias (4 * D,), by row, column and channel."""
    bias: Any = layer.bias
    return layer.weight.permute(2, 3, 1, 0).flatten(0, 2), bias.repeat(4)


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boolean masks a and b (..., H, W), broadcast: (...), float."""
    intersection = (a & b).flatten(-2).sum(-1)
    union = (a | b).flatten(-2).sum(-1).clamp(min=1)
    return intersection / union


def mask_targets(masks: Tensor, input_size: int, target_size: int) -> Tensor:
    """Ground-truth masks as the head sees them.

    Args:
        masks: (N, H, W), bool or uint8, in pixels of the resized image, not
            padded; a rescaled mask may be one pixel larger than its image.
        input_size: side of the padded network input in pixels.
        target_size: side of the mask logits.

    Returns:
        (N, target_size, target_size), float, 0 or 1: bilinear reduction, then
        rounding half to even, as the published model was trained.
    """
    masks = masks.float()
    masks = F.pad(masks, (0, input_size - masks.shape[2], 0, input_size - masks.shape[1]))
    small = F.interpolate(masks[:, None], (target_size, target_size), mode='bilinear', align_corners=False)
    return small[:, 0].round()
