"""The detectors: plain UltraSam built from configs, trained and tested by mmdet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.names import PublishedNames
from ultrasam.models.postprocess import ImageGeometry, boxes_of_masks
from ultrasam.models.ultrasam import Answer, UltraSam
from ultrasam.openmmlab.agreement import StepAgreement, step_agreement
from ultrasam.openmmlab.models.heads import mask_targets
from ultrasam.openmmlab.models.procedures import TrainingProcedure, TrainingStep
from ultrasam.structures.prompt_batch import PromptBatch
from ultrasam.structures.prompts import TokenisedPrompts


@MODELS.register_module(name='UltraSam')
class UltraSamDetector(PublishedNames, BaseDetector):
    """Plain :class:`~ultrasam.models.ultrasam.UltraSam` behind mmdet's interface, with the weights' published names.

    Args:
        backbone: Config of the image encoder.
        prompt_encoder: Config of the prompt encoder.
        decoder: Config of the two-way transformer; a module of one's own maps tokens (M, T, C), image (M, C, h, w) and
            position codes (h * w, C) to tokens and image.
        bbox_head: Config of the mask decoder around it, with its losses.
        num_refinements: Passes after the first.
        inference_refinements: The same at inference, if it differs: a model that was trained with many rounds may be
            best at its first.
        point_refinement: See :class:`~ultrasam.models.ultrasam.UltraSam`.
        instances_per_pass: Likewise.
        training_procedure: Config of what a training step runs:
            :class:`~ultrasam.openmmlab.models.procedures.TwoPass` as published, or ``CorrectiveClicks``.
        data_preprocessor: Config of the data preprocessor.
        init_cfg: Initialisation config of MMEngine.

    Raises:
        ConfigError: A negative number of passes or an unknown option.
    """

    published_names = {'model.': ''}  # noqa: RUF012
    plain_model: type[UltraSam] = UltraSam
    mask_choice = 'best_candidate'

    def __init__(
        self,
        *,
        backbone: dict,
        prompt_encoder: dict,
        decoder: dict,
        bbox_head: dict,
        num_refinements: int = 1,
        inference_refinements: int | None = None,
        point_refinement: str = 'predicted_box',
        instances_per_pass: int = 16,
        training_procedure: Mapping[str, Any] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        BaseDetector.__init__(self, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.use_published_names()
        at_inference = num_refinements if inference_refinements is None else inference_refinements
        if min(num_refinements, at_inference) < 0 or (at_inference and not num_refinements):
            raise ConfigError(
                f'num_refinements {num_refinements} and inference_refinements {inference_refinements}: give at least '
                '0, and 0 at inference if the model was not trained to refine'
            )
        self.num_refinements = num_refinements
        head = MODELS.build({**bbox_head, 'transformer': MODELS.build(decoder)})
        self.model = self.plain_model(
            MODELS.build(backbone),
            MODELS.build({**prompt_encoder, 'mask_prompts': num_refinements > 0}),
            head,
            refinements=at_inference,
            point_refinement=point_refinement,
            mask_choice=self.mask_choice,
            mask_upsampling=head.mask_upsampling,
            instances_per_pass=instances_per_pass,
        )
        self.training_procedure: TrainingProcedure = TASK_UTILS.build(
            training_procedure or {'type': 'TwoPass'}
        )
        # weights of a refining model serve one that does not refine, which has no use for these
        self.checkpoint_allow_unexpected = (
            () if num_refinements else (r'prompt_encoder\.mask_downscaling\..*',)
        )

    @property
    def backbone(self) -> Any:
        """The image encoder, under the name of its weights."""
        return self.model.image_encoder

    @property
    def prompt_encoder(self) -> Any:
        """The prompt encoder."""
        return self.model.prompt_encoder

    @property
    def decoder(self) -> nn.Module:
        """The two-way transformer, under the name of its weights."""
        return self.model.mask_decoder.transformer

    @property
    def bbox_head(self) -> Any:
        """The mask decoder, under the name of its weights."""
        return self.model.mask_decoder

    @property
    def inference_refinements(self) -> int:
        """Passes after the first at inference."""
        return self.model.refinements

    @property
    def point_refinement(self) -> str:
        """Prompt of the refining passes for a click."""
        return self.model.point_refinement

    def extract_feat(self, batch_inputs: Tensor) -> Any:
        """Return the embedding of the padded, normalised images (B, 3, S, S), see :meth:`UltraSam.encode`."""
        return self.model.encode(batch_inputs)

    def decode(self, embedding: Any, prompts: PromptBatch, mask_prompt: Tensor | None = None) -> Answer:
        """Decode all four masks of M prompts, see :meth:`UltraSam.decode`."""
        return self.model.decode(embedding, prompts, mask_prompt)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Return the losses of a step, as the training procedure names them.

        Args:
            batch_inputs: (B, 3, S, S), float, normalised and padded images.
            batch_data_samples: With ``gt_instances.prompts`` and ``.masks``.
        """
        device, size = batch_inputs.device, self.prompt_encoder.mask_prompt_size
        # before the encoder, so that a GPU is not waited for to copy them
        prompts = self._prompts(batch_data_samples, device)
        targets = self._targets(batch_data_samples, batch_inputs.shape[-1], size, device)
        agreement = step_agreement(len(prompts), device)
        embedding = self.model.encode(batch_inputs)
        step = TrainingStep(
            decode=lambda prompts, masks: self.model.decode(embedding, prompts, masks),
            loss=lambda answer, masks: self.answer_loss(
                answer, masks, targets, batch_data_samples, agreement
            ),
            features=self.model.features(embedding),
            prompts=prompts,
            targets=targets,
            cell=self.prompt_encoder.img_size / size,
            refinements=self.num_refinements,
            seed=agreement.seed,
        )
        return self.training_procedure(step)

    def answer_loss(
        self,
        answer: Answer,
        masks: slice,
        targets: Tensor,
        samples: Sequence[DetDataSample],
        agreement: StepAgreement,
    ) -> dict[str, Tensor]:
        """Return the losses of some of the four masks of an answer, see :meth:`SamMaskHead.loss`."""
        return self.bbox_head.loss(
            answer.logits[:, masks], answer.iou[:, masks], targets, agreement.num_instances
        )

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Predict one mask for each prompt.

        Args:
            batch_inputs: (B, 3, S, S), float, normalised and padded images.
            batch_data_samples: With ``gt_instances.prompts``; nothing else of
                the ground truth is used but ``labels``, which are passed on.
            rescale: Masks and boxes at the size of the original image rather
                than of the resized one.

        Returns:
            The samples, with ``pred_instances``: ``bboxes`` (N, 4) float32
            xyxy, ``labels`` (N,) int64, ``scores`` (N,) float32, the predicted
            IoU as it is, and ``masks`` (N, H, W) bool.
        """
        answer, counts = self._answer(batch_inputs, batch_data_samples)
        fields = {name: values.split(counts) for name, values in self.classes(answer).items()}
        logits, iou = answer.logits[:, 0].split(counts), answer.iou[:, 0].split(counts)
        for i, (sample, of_image, scores) in enumerate(zip(batch_data_samples, logits, iou, strict=True)):
            size_hw = sample.ori_shape if rescale else sample.img_shape
            masks = self.geometry(sample, size_hw).masks(of_image, self.bbox_head.mask_upsampling)
            labels = sample.gt_instances.get('labels', scores.new_zeros(len(scores), dtype=torch.long))
            sample.pred_instances = InstanceData(
                bboxes=boxes_of_masks(masks), labels=labels, scores=scores.float(), masks=masks
            )
            for name, values in fields.items():
                sample.pred_instances[name] = values[i]
        return batch_data_samples

    def classes(self, answer: Answer) -> dict[str, Tensor]:
        """Return further fields of the predicted instances; a model with classes has some."""
        return {}

    def _answer(self, batch_inputs: Tensor, samples: SampleList) -> tuple[Answer, list[int]]:
        """Return one mask an instance, and the number of instances of each image."""
        embedding = self.model.encode(batch_inputs)
        prompts = self._prompts(samples, batch_inputs.device)
        return self.predict_logits(embedding, prompts, samples), prompts.instances_per_image()

    def predict_logits(
        self,
        embedding: Any,
        prompts: PromptBatch,
        samples: Sequence[DetDataSample],
        **options: Any,
    ) -> Answer:
        """Run all passes of inference and choose masks, see :meth:`UltraSam.predict`; samples give the sizes."""
        geometry = [self.geometry(sample, sample.ori_shape) for sample in samples]
        return self.model.predict(embedding, prompts, geometry, **options)

    def geometry(self, sample: DetDataSample, size_hw: Sequence[int]) -> ImageGeometry:
        """Return where the image of a sample lies in the input, with masks at ``size_hw``."""
        return ImageGeometry(
            input_size=self.prompt_encoder.img_size,
            resized_hw=(sample.img_shape[0], sample.img_shape[1]),
            original_hw=(size_hw[0], size_hw[1]),
            scale_xy=tuple(sample.scale_factor),
        )

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """Return mask logits (M, 1, 4h, 4w) and predicted IoU (M, 1) after all passes, without post-processing."""
        answer, _ = self._answer(batch_inputs, batch_data_samples)
        return answer.logits, answer.iou

    @staticmethod
    def _prompts(samples: Sequence[DetDataSample], device: torch.device) -> PromptBatch:
        prompts = []
        for sample in samples:
            if 'prompts' not in sample.gt_instances:
                raise ConfigError(
                    'a sample came without prompts: end the pipeline with SamplePrompts and PackPromptedInputs'
                )
            of_image = sample.gt_instances.prompts
            if not isinstance(of_image, TokenisedPrompts):
                of_image = TokenisedPrompts(
                    of_image, sample.img_shape[:2], sample.get('img_path', 'an image')
                )
            prompts.append(of_image)
        return PromptBatch.from_prompts(prompts, device)

    @staticmethod
    def _targets(
        samples: Sequence[DetDataSample], input_size: int, target_size: int, device: torch.device
    ) -> Tensor:
        """Return targets (M, 4h, 4w), float, of all instances; those that the pipeline made are taken as they are."""
        targets = []
        for sample in samples:
            instances = sample.gt_instances
            if sample.get('target_sizes') == (input_size, target_size):
                targets.append(instances.mask_targets.to(device, non_blocking=True).float())
            else:
                masks = instances.masks.to_tensor(torch.uint8, device)
                targets.append(mask_targets(masks, input_size, target_size))
        return torch.cat(targets)


@MODELS.register_module()
class AdaptedUltraSam(UltraSamDetector):
    """UltraSam whose only trained parameters are the adapters of its image encoder.

    They are chosen when the model is built, so that a distributed wrapper and an optimizer see nothing else; frozen
    parameters get no gradient. The dropout of the frozen decoder stays on in training, as published.

    Args:
        **detector: Arguments of :class:`UltraSamDetector`; ``backbone`` is an encoder with adapters.

    Raises:
        ConfigError: The encoder has no adapters.
    """

    def __init__(self, **detector: Any) -> None:
        super().__init__(**detector)
        adapters = getattr(self.backbone, 'adapter_names', ())
        if not adapters:
            raise ConfigError(
                f'{type(self.backbone).__name__} has no adapters: use LoraImageEncoder or MedSaImageEncoder, '
                'or train the whole model as UltraSam'
            )
        self.requires_grad_(False)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(name in adapters)

    @property
    def checkpoint_allow_missing(self) -> tuple[str, ...]:
        """What a checkpoint may lack, see the encoder."""
        return tuple(rf'backbone\.{pattern}' for pattern in self.backbone.checkpoint_allow_missing)
