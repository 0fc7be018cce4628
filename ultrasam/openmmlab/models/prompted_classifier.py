"""The detector that also tells the class of each object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from torch import Tensor

from ultrasam.errors import ConfigError
from ultrasam.models.prompted_classifier import PromptedClassifier
from ultrasam.models.ultrasam import Answer
from ultrasam.openmmlab.agreement import StepAgreement
from ultrasam.openmmlab.models.detector import UltraSamDetector
from ultrasam.openmmlab.models.heads import CLASS_HEAD, SamClassificationHead


@MODELS.register_module(name='PromptedClassifier')
class PromptedClassifierDetector(UltraSamDetector):
    """UltraSam that also tells the class of each object, trained on masks and classes together.

    Every pass decodes mask and class; each class is trained, that of the last pass is the answer.

    A checkpoint of prompted segmentation fits, its lack of a class head is reported, and that head starts anew; see
    :meth:`SamClassificationHead.class_scores` for what happens without training.

    Args:
        **detector: Arguments of :class:`UltraSamDetector`; ``bbox_head`` is a :class:`SamClassificationHead`.

    Raises:
        ConfigError: Another head, or one for an encoder of another width.
    """

    checkpoint_allow_missing = (rf'bbox_head\.{CLASS_HEAD}',)
    plain_model = PromptedClassifier

    def __init__(self, **detector: Any) -> None:
        super().__init__(**detector)
        if not isinstance(self.bbox_head, SamClassificationHead):
            raise ConfigError(
                f'{type(self.bbox_head).__name__} gives no classes: use SamClassificationHead as bbox_head'
            )
        width = self.backbone.embed_dims
        if width != self.bbox_head.image_dims:
            raise ConfigError(
                f'bbox_head.image_dims {self.bbox_head.image_dims}, but the tokens of the encoder have {width} '
                'values: set image_dims to that'
            )

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Return the losses of :meth:`UltraSamDetector.loss`, and ``loss_cls``, named by pass in the same way.

        Args:
            batch_inputs: (B, 3, S, S), float, normalised and padded images.
            batch_data_samples: With ``gt_instances.prompts``, ``.masks`` and ``.labels``.

        Raises:
            ConfigError: Samples without labels, or labels without a class.
        """
        if any('labels' not in sample.gt_instances for sample in batch_data_samples):
            raise ConfigError(
                'a sample came without labels: load annotations with their classes (with_label=True)'
            )
        return super().loss(batch_inputs, batch_data_samples)

    def answer_loss(
        self,
        answer: Answer,
        masks: slice,
        targets: Tensor,
        samples: Sequence[DetDataSample],
        agreement: StepAgreement,
    ) -> dict[str, Tensor]:
        """Return the losses of masks and class, see :meth:`SamClassificationHead.class_loss`."""
        losses = super().answer_loss(answer, masks, targets, samples, agreement)
        labels = torch.cat([sample.gt_instances.labels for sample in samples])
        loss_cls = self.bbox_head.class_loss(answer.class_logits, labels, agreement.num_instances)
        return {**losses, 'loss_cls': loss_cls}

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Predict one mask and one class for each prompt; arguments of :meth:`UltraSamDetector.predict`.

        Returns:
            The samples, with ``pred_instances`` as there, and ``cls_scores`` (N, num_classes) float32,
            probabilities; ``cls_labels`` (N,) int64, the class of the highest; ``labels``, the same.

        Raises:
            CheckpointError: The weights know no classes.
        """
        return super().predict(batch_inputs, batch_data_samples, rescale)

    def classes(self, answer: Answer) -> dict[str, Tensor]:
        """Return ``cls_scores``, ``cls_labels`` and ``labels`` of all instances."""
        scores = self.bbox_head.class_scores(answer.class_logits)
        labels = scores.argmax(1)
        return {'cls_scores': scores, 'cls_labels': labels, 'labels': labels}
