"""The class head: which class an object is of, from what its prompt decoded and what the encoder saw of the image."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.utils import reduce_mean
from torch import Tensor

from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.models.layers import Mlp
from ultrasam.models.mask_head import SamMaskHead
from ultrasam.structures.prompts import NUM_OUTPUT_TOKENS

CLASS_ACTIVATIONS = ('sigmoid', 'softmax')
# the part that a checkpoint of prompted segmentation lacks
CLASS_HEAD = r'cls_prediction_head\..*'


@MODELS.register_module()
class SamClassificationHead(SamMaskHead):
    """The mask head with a class score an object.

    The class comes from the first mask token and the mean of the image, both as the decoder left them for this
    object, and from the mean of the encoder's tokens, which is the same for all objects of an image.

    Args:
        num_classes: classes.
        loss_cls: config of the loss on class logits; None builds a head for inference alone.
        activation: how logits become scores: ``'sigmoid'``, each class by itself, as published; ``'softmax'``, classes
            that exclude each other. The loss has to agree.
        image_dims: width of the encoder's tokens.
        embed_dims: width of the decoder.
        iou_head_dims: hidden width of the IoU head, and of the class head.
        **mask_head: further arguments of :class:`SamMaskHead`.

    Raises:
        ConfigError: no class, an unknown activation, or a loss for another one.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        loss_cls: dict | None = None,
        activation: str = 'sigmoid',
        image_dims: int = 768,
        embed_dims: int = 256,
        iou_head_dims: int = 256,
        **mask_head: Any,
    ) -> None:
        super().__init__(embed_dims=embed_dims, iou_head_dims=iou_head_dims, **mask_head)
        if num_classes < 1 or activation not in CLASS_ACTIVATIONS:
            raise ConfigError(
                f'num_classes {num_classes} and activation {activation!r}: give at least 1, and one of '
                f'{", ".join(CLASS_ACTIVATIONS)}'
            )
        self.num_classes = num_classes
        self.activation = activation
        self.image_dims = image_dims
        self.cls_prediction_head = Mlp(2 * embed_dims + image_dims, iou_head_dims, num_classes)
        self.loss_cls = None if loss_cls is None else MODELS.build(loss_cls)
        if self.loss_cls is not None and self.loss_cls.use_sigmoid != (activation == 'sigmoid'):
            raise ConfigError(
                f'activation {activation!r} with loss_cls of use_sigmoid={self.loss_cls.use_sigmoid}: a sigmoid '
                'goes with use_sigmoid=True, a softmax with use_sigmoid=False'
            )
        self._is_untrained = False

    def object_features(self, tokens: Tensor, image: Tensor) -> Tensor:
        """What the decoder found for each object.

        Args:
            tokens: (M, T, C), float, decoded tokens, as for :meth:`forward`.
            image: (M, C, H, W), float, decoded image.

        Returns:
            (M, 2C), float.
        """
        return torch.cat([tokens[:, -NUM_OUTPUT_TOKENS], image.mean((2, 3))], 1)

    def classify(self, object_features: Tensor, image_mean: Tensor) -> Tensor:
        """Class logits (M, num_classes).

        Args:
            object_features: (M, 2C), float, see :meth:`object_features`.
            image_mean: (M, image_dims), float, mean of the encoder's tokens of the image of each object.
        """
        return self.cls_prediction_head(torch.cat([object_features, image_mean], 1))

    def check_trained(self) -> None:
        """See that class scores mean something.

        Raises:
            CheckpointError: the weights that were loaded know no classes, and nothing was trained since.
        """
        if self._is_untrained:
            raise CheckpointError(
                'the weights have no class head (bbox_head.cls_prediction_head), so its scores would be random: '
                'load weights of a prompted classifier, or train with load_from set to these'
            )

    def class_scores(self, class_logits: Tensor) -> Tensor:
        """Probabilities of class logits (M, num_classes): float32, same shape.

        Raises:
            CheckpointError: as :meth:`check_trained`.
        """
        self.check_trained()
        logits = class_logits.float()
        return logits.sigmoid() if self.activation == 'sigmoid' else logits.softmax(1)

    def class_loss(self, class_logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of the class logits of one pass, averaged over the objects of all processes.

        Args:
            class_logits: (M, num_classes), float.
            labels: (M,), int64.

        Raises:
            ConfigError: a label without a class, or a head that was built without this loss.
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
        objects = reduce_mean(logits.new_tensor(float(len(logits)))).clamp(min=1e-6)
        if self.activation == 'softmax':
            return self.loss_cls(logits, labels, avg_factor=objects)
        truth = F.one_hot(labels, self.num_classes).to(logits)
        return self.loss_cls(logits, truth, avg_factor=objects * self.num_classes)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._is_untrained = f'{prefix}cls_prediction_head.layers.0.weight' not in state_dict
