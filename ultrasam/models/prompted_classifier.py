"""Prompted classification: a mask for each prompt, and the class of the object that it points at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.classification_head import CLASS_HEAD, SamClassificationHead
from ultrasam.models.detector import UltraSam
from ultrasam.structures import PromptBatch


def pack_image_features(embedding: Tensor, image_mean: Tensor) -> Tensor:
    """Join two descriptions of an image to one map, so that whatever keeps the embedding keeps both.

    Args:
        embedding: (B, C, h, w), float.
        image_mean: (B, D), float.

    Returns:
        (B, C + ceil(D / hw), h, w): the means fill further channels row by row, then zeros.
    """
    height, width = embedding.shape[-2:]
    padded = F.pad(image_mean, (0, -image_mean.shape[1] % (height * width)))
    return torch.cat([embedding, padded.unflatten(1, (-1, height, width))], 1)


def unpack_image_features(packed: Tensor, channels: int, image_dims: int) -> tuple[Tensor, Tensor]:
    """Undo :func:`pack_image_features`.

    Args:
        packed: (B, C + ceil(D / hw), h, w), float.
        channels: C.
        image_dims: D.

    Raises:
        ConfigError: an embedding of another number of channels, such as that of a model without classes.
    """
    expected = channels + -(-image_dims // (packed.shape[-2] * packed.shape[-1]))
    if packed.shape[1] != expected:
        raise ConfigError(
            f'an embedding of {packed.shape[1]} channels, this model has {expected}: encode the image with the '
            'model that answers, and give it a folder of its own for embeddings'
        )
    return packed[:, :channels], packed[:, channels:].flatten(1)[:, :image_dims]


@MODELS.register_module()
class PromptedClassifier(UltraSam):
    """UltraSam that also tells the class of each object, trained on masks and classes together.

    Every pass decodes mask and class; each class is trained, that of the last pass is the answer.

    A checkpoint of prompted segmentation fits, its lack of a class head is reported, and that head starts anew; see
    :meth:`SamClassificationHead.class_scores` for what happens without training.

    Args:
        **detector: arguments of :class:`UltraSam`; ``bbox_head`` is a :class:`SamClassificationHead`.

    Raises:
        ConfigError: another head, or one for an encoder of another width.
    """

    checkpoint_allow_missing = (rf'bbox_head\.{CLASS_HEAD}',)

    def __init__(self, **detector: Any) -> None:
        super().__init__(**detector)
        if not isinstance(self.bbox_head, SamClassificationHead):
            raise ConfigError(
                f'{type(self.bbox_head).__name__} gives no classes: use SamClassificationHead as bbox_head'
            )
        if detector.get('compile_decoder', False) is not False:
            raise ConfigError(
                'compile_decoder: a prompted classifier looks into its head, which is not compiled yet'
            )
        width = self._encoder().pos_embed.shape[-1]
        if width != self.bbox_head.image_dims:
            raise ConfigError(
                f'bbox_head.image_dims {self.bbox_head.image_dims}, but the tokens of the encoder have {width} '
                'values: set image_dims to that'
            )
        self._noted: list[Tensor] | None = None

    def _encoder(self) -> Any:
        """The ViT, inside LoRA or not."""
        return getattr(self.backbone, 'module', self.backbone)

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """Embedding and mean token of the padded, normalised images (B, 3, S, S), packed: (B, C', h, w)."""
        means: list[Tensor] = []

        def keep(_neck: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            means.append(inputs[0].float().mean((2, 3)))

        # what enters the neck are the tokens of the last layer
        handle = self._encoder().channel_reduction.register_forward_pre_hook(keep)
        try:
            embedding = super().extract_feat(batch_inputs)
        finally:
            handle.remove()
        return pack_image_features(embedding, means[-1])

    @contextmanager
    def noting_classes(self) -> Iterator[list[Tensor]]:
        """Note the class logits of every pass that is decoded meanwhile.

        Yields:
            One (M, num_classes), float, a pass, in the order of the prompts; the last is the answer.
        """
        before, self._noted = self._noted, []
        try:
            yield self._noted
        finally:
            self._noted = before

    def decode(
        self,
        embedding: Tensor,
        prompts: PromptBatch,
        *,
        mask_prompt: Tensor | None,
        candidates: slice,
        best_only: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """One pass of the decoder, as :meth:`UltraSam.decode`; classes go to :meth:`noting_classes`.

        Args:
            embedding: (B, C', h, w), float, of :meth:`extract_feat`.
            prompts: as for :meth:`UltraSam.decode`.
            mask_prompt: likewise.
            candidates: likewise.
            best_only: likewise.

        Returns:
            Mask logits (M, K, 4h, 4w) and predicted IoU (M, K), in the order of the prompts.

        Raises:
            ConfigError: classes are noted, but the embedding is that of a model without classes.
        """
        head: SamClassificationHead = self.bbox_head
        channels = self._encoder().out_channels
        if self._noted is None:
            # masks need no more than what the neck gave
            embedding = embedding[:, :channels]
            return super().decode(
                embedding, prompts, mask_prompt=mask_prompt, candidates=candidates, best_only=best_only
            )
        embedding, image_means = unpack_image_features(embedding, channels, head.image_dims)
        found: list[Tensor] = []

        def keep(_head: nn.Module, inputs: tuple[Tensor, ...], _masks: Any) -> None:
            found.append(head.object_features(*inputs))

        handle = head.register_forward_hook(keep)
        try:
            decoded = super().decode(
                embedding, prompts, mask_prompt=mask_prompt, candidates=candidates, best_only=best_only
            )
        finally:
            handle.remove()
        order = torch.cat([members for members, _ in self._passes(prompts)])
        objects = torch.cat(found)[order.argsort()]
        self._noted.append(head.classify(objects, image_means[prompts.image_index]))
        return decoded

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of every pass.

        Args:
            batch_inputs: (B, 3, S, S), float, normalised and padded images.
            batch_data_samples: with ``gt_instances.prompts``, ``.masks`` and ``.labels``.

        Returns:
            Those of :meth:`UltraSam.loss`, and ``loss_cls``: named by pass in the same way, or the mean over the
            passes of interactive training.

        Raises:
            ConfigError: samples without labels, or labels without a class.
        """
        for sample in batch_data_samples:
            if 'labels' not in sample.gt_instances:
                raise ConfigError(
                    'a sample came without labels: load annotations with their classes (with_label=True)'
                )
        labels = torch.cat([sample.gt_instances.labels for sample in batch_data_samples])
        with self.noting_classes() as passes:
            losses = super().loss(batch_inputs, batch_data_samples)
        by_pass = [self.bbox_head.class_loss(class_logits, labels) for class_logits in passes]
        if self.interactive:
            return {**losses, 'loss_cls': torch.stack(by_pass).mean()}
        refined = {f'loss_cls.{i}': value for i, value in enumerate(by_pass[1:])}
        return {**losses, 'loss_cls': by_pass[0], **refined}

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """One mask and one class for each prompt; arguments of :meth:`UltraSam.predict`.

        Returns:
            The samples, with ``pred_instances`` as there, and ``cls_scores`` (N, num_classes) float32,
            probabilities; ``cls_labels`` (N,) int64, the class of the highest; ``labels``, the same.

        Raises:
            CheckpointError: the weights know no classes.
        """
        with self.noting_classes() as passes:
            samples = super().predict(batch_inputs, batch_data_samples, rescale)
        scores = self.bbox_head.class_scores(passes[-1])
        counts = [len(sample.pred_instances) for sample in samples]
        for sample, of_image in zip(samples, scores.split(counts), strict=True):
            sample.pred_instances.cls_scores = of_image
            sample.pred_instances.cls_labels = sample.pred_instances.labels = of_image.argmax(1)
        return samples
