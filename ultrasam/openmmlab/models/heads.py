"""Mask decoders with the losses that train them."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from torch import Tensor, nn

from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.models.mask_decoder import MaskDecoder
from ultrasam.models.postprocess import MASK_UPSAMPLINGS
from ultrasam.models.prompted_classifier import ClassifyingMaskDecoder, class_probabilities

CLASS_ACTIVATIONS = ('sigmoid', 'softmax')
# the part that a checkpoint of prompted segmentation lacks
CLASS_HEAD = r'cls_prediction_head\..*'
IOU_SUPERVISIONS = ('best', 'all')


@MODELS.register_module()
class SamMaskHead(MaskDecoder):
    """The mask decoder and its losses; ``bbox_head`` in configs and files.

    Args:
        transformer: The two-way transformer, ``decoder`` in configs.
        loss_dice: Config of the Dice loss on mask probabilities; None, here and
            below, builds a decoder for inference alone.
        loss_focal: Config of the focal loss on mask logits.
        loss_iou: Config of the loss between predicted and true IoU.
        iou_supervision: Candidates whose predicted IoU is trained: ``'best'``,
            the one that overlaps most, as published; ``'all'``, so that the
            others do not claim an overlap that they lack.
        mask_upsampling: How logits become masks at image size: ``'binary'``
            thresholds first, as the published figures were made; ``'logits'``
            interpolates first, which is nearer to the truth.
        **mask_decoder: Arguments of the plain mask decoder.

    Raises:
        ConfigError: An unknown ``mask_upsampling`` or ``iou_supervision``.
    """

    def __init__(
        self,
        transformer: nn.Module,
        *,
        loss_dice: dict | None = None,
        loss_focal: dict | None = None,
        loss_iou: dict | None = None,
        iou_supervision: str = 'best',
        mask_upsampling: str = 'binary',
        **mask_decoder: Any,
    ) -> None:
        super().__init__(transformer, **mask_decoder)
        if mask_upsampling not in MASK_UPSAMPLINGS:
            raise ConfigError(
                f'mask_upsampling {mask_upsampling!r}: use one of {", ".join(MASK_UPSAMPLINGS)}'
            )
        if iou_supervision not in IOU_SUPERVISIONS:
            raise ConfigError(
                f'iou_supervision {iou_supervision!r}: use one of {", ".join(IOU_SUPERVISIONS)}'
            )
        self.mask_upsampling = mask_upsampling
        self.iou_supervision = iou_supervision
        self.losses = nn.ModuleDict(
            {
                name: MODELS.build(config)
                for name, config in (('dice', loss_dice), ('focal', loss_focal), ('iou', loss_iou))
                if config is not None
            }
        )

    def loss(
        self, logits: Tensor, predicted_iou: Tensor, targets: Tensor, num_instances: float | None = None
    ) -> dict[str, Tensor]:
        """Compute the losses on the candidate that overlaps its target best.

        Args:
            logits: (M, K, H, W), float, mask logits.
            predicted_iou: (M, K), float.
            targets: (M, H, W), float, 0 or 1.
            num_instances: The mean over processes of their instances, so that a step does not depend on how a batch
                is divided among them; None for M.

        Returns:
            ``loss_dice`` (V-Net form, Milletari et al. 2016), ``loss_focal``
            (Lin et al. 2017) and ``loss_iou``.

        Raises:
            ConfigError: The head was built without losses.
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
        instances = max(float(len(logits)) if num_instances is None else num_instances, 1e-6)
        if self.iou_supervision == 'best':
            predicted_iou, true_iou = predicted_iou.gather(1, best), true_iou.gather(1, best)
        pixels = instances * targets.shape[1]
        return dict(
            loss_dice=self.losses['dice'](picked, targets, avg_factor=instances),
            loss_focal=self.losses['focal'](picked.reshape(-1, 1), targets.reshape(-1, 1), avg_factor=pixels),
            loss_iou=self.losses['iou'](
                predicted_iou, true_iou, avg_factor=instances * predicted_iou.shape[1]
            ),
        )


@MODELS.register_module()
class SamClassificationHead(SamMaskHead, ClassifyingMaskDecoder):
    """The mask decoder with a class score an object, and its losses.

    Args:
        transformer: As for :class:`SamMaskHead`.
        num_classes: Number of classes.
        loss_cls: Config of the loss on class logits; None builds a head for inference alone.
        activation: How logits become scores: ``'sigmoid'``, each class by itself, as published; ``'softmax'``, classes
            that exclude each other. The loss has to agree.
        **mask_head: Arguments of :class:`SamMaskHead` and of the plain decoder.

    Raises:
        ConfigError: No class, an unknown activation, or a loss for another one.
    """

    def __init__(
        self,
        transformer: nn.Module,
        *,
        num_classes: int,
        loss_cls: dict | None = None,
        activation: str = 'sigmoid',
        **mask_head: Any,
    ) -> None:
        if num_classes < 1 or activation not in CLASS_ACTIVATIONS:
            raise ConfigError(
                f'num_classes {num_classes} and activation {activation!r}: give at least 1, and one of '
                f'{", ".join(CLASS_ACTIVATIONS)}'
            )
        super().__init__(transformer, num_classes=num_classes, **mask_head)
        self.activation = activation
        self.loss_cls = None if loss_cls is None else MODELS.build(loss_cls)
        if self.loss_cls is not None and self.loss_cls.use_sigmoid != (activation == 'sigmoid'):
            raise ConfigError(
                f'activation {activation!r} with loss_cls of use_sigmoid={self.loss_cls.use_sigmoid}: a sigmoid '
                'goes with use_sigmoid=True, a softmax with use_sigmoid=False'
            )
        self._is_untrained = False

    def check_trained(self) -> None:
        """Check that class scores mean something.

        Raises:
            CheckpointError: The weights that were loaded know no classes, and nothing was trained since.
        """
        if self._is_untrained:
            raise CheckpointError(
                'the weights have no class head (bbox_head.cls_prediction_head), so its scores would be random: '
                'load weights of a prompted classifier, or train with load_from set to these'
            )

    def class_scores(self, class_logits: Tensor) -> Tensor:
        """Return the probabilities of class logits (M, num_classes): float32, same shape.

        Raises:
            CheckpointError: As :meth:`check_trained`.
        """
        self.check_trained()
        return class_probabilities(class_logits, self.activation)

    def class_loss(self, class_logits: Tensor, labels: Tensor, num_instances: float | None = None) -> Tensor:
        """Compute the loss of the class logits of one pass.

        Args:
            class_logits: (M, num_classes), float.
            labels: (M,), int64.
            num_instances: As for :meth:`loss`.

        Raises:
            ConfigError: A label without a class, or a head that was built without this loss.
        """
        if self.loss_cls is None:
            raise ConfigError('a class head without loss cannot train: give it loss_cls')
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            raise ConfigError(
                f'labels from {int(labels.min())} to {int(labels.max())} with bbox_head.num_classes '
                f'{self.num_classes}: set the number of classes of the data'
            )
        self._is_untrained = False
        logits = class_logits.float()
        objects = max(float(len(logits)) if num_instances is None else num_instances, 1e-6)
        if self.activation == 'softmax':
            return self.loss_cls(logits, labels, avg_factor=objects)
        truth = F.one_hot(labels, self.num_classes).to(logits)
        return self.loss_cls(logits, truth, avg_factor=objects * self.num_classes)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._is_untrained = f'{prefix}cls_prediction_head.layers.0.weight' not in state_dict


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of boolean masks a and b (..., H, W), broadcast: (...), float."""
    intersection = (a & b).flatten(-2).sum(-1)
    union = (a | b).flatten(-2).sum(-1).clamp(min=1)
    return intersection / union


def mask_targets(masks: Tensor, input_size: int, target_size: int) -> Tensor:
    """Return ground-truth masks at the size of mask logits.

    Args:
        masks: (N, H, W), bool or uint8, in pixels of the resized image, not
            padded; a rescaled mask may be one pixel larger than its image.
        input_size: Side of the padded network input in pixels.
        target_size: Side of the mask logits.

    Returns:
        (N, target_size, target_size), float, 0 or 1: bilinear reduction, then
        rounding half to even, as the published model was trained.
    """
    masks = masks.float()
    masks = F.pad(masks, (0, input_size - masks.shape[2], 0, input_size - masks.shape[1]))
    small = F.interpolate(masks[:, None], (target_size, target_size), mode='bilinear', align_corners=False)
    return small[:, 0].round()
