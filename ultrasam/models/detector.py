"""The UltraSam detector: prompts in, one mask for each out, refined by a second look at the first mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from ultrasam.errors import ConfigError
from ultrasam.models.decoder_pass import CompiledPass, run_pass
from ultrasam.models.folded_decoder import ImageMemory, decode_folded
from ultrasam.models.interaction import InteractiveTraining
from ultrasam.models.mask_head import MULTI_MASK, SINGLE_MASK, mask_targets
from ultrasam.models.postprocess import ImageMasks, Placement
from ultrasam.models.products import is_plain_inference
from ultrasam.structures import PromptBatch
from ultrasam.structures.prompts import NUM_OUTPUT_TOKENS

INSTANCES_IN_CACHE = 4
"""Instances decoded at once on a CPU: their images, 4 MB each and some copies, stay in its last cache."""


def published_candidates(pass_index: int, refinements: int) -> slice:
    """The last pass decodes the three candidates, every pass before it one mask."""
    return MULTI_MASK if pass_index == refinements else SINGLE_MASK


@MODELS.register_module()
class UltraSam(BaseDetector):
    """Promptable segmentation as the published UltraSam does it.

    The image is encoded once.  A first pass decodes one mask for each prompt;
    each refinement feeds the mask logits back as a mask prompt, and the last
    pass decodes three candidates, of which the best by predicted IoU is kept.
    Without refinement the only pass decodes the candidates.

    Args:
        backbone: config of the image encoder.
        prompt_encoder: config of the prompt encoder.
        decoder: config of the two-way transformer.
        bbox_head: config of the mask head (the name is that of the weights).
        num_refinements: passes after the first.
        inference_refinements: the same at inference, where it differs: a
            model that was trained with many rounds may be best at its first.
        point_refinement: prompt of the refining passes at inference for an
            instance prompted by one click: ``'predicted_box'``, the box of its
            first mask, as published; ``'keep'``, the click.
        instances_per_pass: instances decoded at once at inference; bounds memory.
        prompt_sampling: how training prompts: ``'published'``, one prompt that
            stays the same in every pass; ``'interactive'``, corrective clicks
            from where the mask is wrong, over several rounds.
        interactive: options of :class:`InteractiveTraining`, for interactive
            sampling only.
        compile_decoder: run passes of the decoder through ``torch.compile``, in training and at inference: True, or
            its options, such as ``dict(mode='reduce-overhead')`` for the latency of single prompts on a GPU.
        data_preprocessor: config of the data preprocessor.
        init_cfg: initialisation config of MMEngine.

    Raises:
        ConfigError: a negative number of passes or an unknown option.
    """

    POINT_REFINEMENTS = ('predicted_box', 'keep')
    PROMPT_SAMPLINGS = ('published', 'interactive')

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
        prompt_sampling: str = 'published',
        interactive: dict | None = None,
        compile_decoder: bool | Mapping = False,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        at_inference = num_refinements if inference_refinements is None else inference_refinements
        if num_refinements < 0 or instances_per_pass < 1:
            raise ConfigError(
                f'num_refinements {num_refinements} and instances_per_pass {instances_per_pass}: '
                'give at least 0 and at least 1'
            )
        if at_inference < 0 or (at_inference and not num_refinements):
            raise ConfigError(
                f'inference_refinements {inference_refinements} with num_refinements {num_refinements}: give at '
                'least 0, and 0 where the model was not trained to refine'
            )
        if point_refinement not in self.POINT_REFINEMENTS:
            raise ConfigError(
                f'point_refinement {point_refinement!r}: use one of {", ".join(self.POINT_REFINEMENTS)}'
            )
        if prompt_sampling not in self.PROMPT_SAMPLINGS:
            raise ConfigError(
                f'prompt_sampling {prompt_sampling!r}: use one of {", ".join(self.PROMPT_SAMPLINGS)}'
            )
        if interactive is not None and prompt_sampling != 'interactive':
            raise ConfigError(
                f"interactive={interactive} with prompt_sampling {prompt_sampling!r}: set 'interactive'"
            )
        self.image_memory = ImageMemory()
        self.num_refinements = num_refinements
        self.inference_refinements = at_inference
        self.point_refinement = point_refinement
        self.instances_per_pass = instances_per_pass
        self.interactive = (
            InteractiveTraining(**(interactive or {})) if prompt_sampling == 'interactive' else None
        )
        self._run_pass: Callable[..., tuple[Tensor, Tensor]] = run_pass
        if compile_decoder is not False:
            self._run_pass = CompiledPass({} if compile_decoder is True else dict(compile_decoder))
        self.backbone = MODELS.build(backbone)
        self.prompt_encoder = MODELS.build(dict(prompt_encoder, mask_prompts=num_refinements > 0))
        self.decoder = MODELS.build(decoder)
        self.bbox_head = MODELS.build(bbox_head)
        # weights of a refining model serve one that does not refine, which has no use for these
        self.checkpoint_allow_unexpected = (
            () if num_refinements else (r'prompt_encoder\.mask_downscaling\..*',)
        )

    def extract_feat(self, batch_inputs: Tensor) -> Tensor:
        """Image embedding (B, C, h, w) of the padded, normalised images (B, 3, S, S)."""
        return self.backbone(batch_inputs)[0]

    def decode(
        self,
        embedding: Tensor,
        prompts: PromptBatch,
        *,
        mask_prompt: Tensor | None,
        candidates: slice,
        best_only: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """One pass of the decoder over all instances of a batch.

        Args:
            embedding: (B, C, h, w), float, image embeddings.
            prompts: the prompts of M instances.
            mask_prompt: (M, 1, 4h, 4w), float, mask logits of the previous
                pass, or None.
            candidates: which of the four masks of an instance are wanted, K of
                them: ``SINGLE_MASK``, ``MULTI_MASK`` or ``ALL_MASKS``.
            best_only: of these the one with the highest predicted IoU alone: K is 1.

        Returns:
            Mask logits (M, K, 4h, 4w) and predicted IoU (M, K), in the order
            of the prompts.
        """
        cells: Tensor | None = None
        order, decoded = [], []
        for members, rows in self._passes(prompts):
            coords, labels, index = prompts.coords[rows], prompts.labels[rows], prompts.image_index[members]
            masks = None if mask_prompt is None else mask_prompt[members]
            if self._folds(embedding, coords):
                found = self._decode_folded(
                    embedding, index.tolist(), coords, labels, masks, candidates, best_only
                )
            else:
                if cells is None:
                    cells = embedding.flatten(2).transpose(1, 2).contiguous()
                found = self._run_pass(self, cells, index, coords, labels, masks, candidates, best_only)
            decoded.append(found)
            order.append(members)
        if len(decoded) == 1:
            return decoded[0]
        back = torch.cat(order).argsort()
        logits, iou = zip(*decoded, strict=True)
        return torch.cat(logits)[back], torch.cat(iou)[back]

    def _folds(self, embedding: Tensor, coords: Tensor) -> bool:
        """Whether to decode by :func:`decode_folded`: inference on a CPU, of few tokens at coords (G, T, 2)."""
        looking = self.decoder.layers[0].cross_attn_token_to_image
        return (
            not self.training
            and self._run_pass is run_pass
            and is_plain_inference(embedding)
            and len(coords) > 0
            and looking.folds(coords.shape[1] + NUM_OUTPUT_TOKENS)
        )

    def _decode_folded(
        self,
        embedding: Tensor,
        images: list[int],
        coords: Tensor,
        labels: Tensor,
        masks: Tensor | None,
        candidates: slice,
        best_only: bool,
    ) -> tuple[Tensor, Tensor]:
        """The same as :func:`run_pass` for instances whose images are given; what these share is made once."""
        tokens = self.prompt_encoder.tokens(coords, labels)
        dense = self.prompt_encoder.dense_parts(masks, coords, labels)
        positions = self.image_memory.positions(self.prompt_encoder)
        terms = self.image_memory.terms(embedding, sorted(set(images)), positions, self.decoder.layers[0])
        tokens, cells = decode_folded(self.decoder, tokens, [terms[i] for i in images], dense, positions)
        image = cells.transpose(1, 2).unflatten(2, embedding.shape[-2:])
        found: tuple[Tensor, Tensor] = self.bbox_head(
            tokens, image, candidates=candidates, best_only=best_only
        )
        return found

    def train(self, mode: bool = True) -> UltraSam:
        """Switch between training and evaluation; forgets what was kept of images."""
        self.image_memory.forget()
        return super().train(mode)

    def _passes(self, prompts: PromptBatch) -> list[tuple[Tensor, Tensor]]:
        """Instances and token rows that are decoded together: of equal token count, bounded at inference."""
        size = max(len(prompts), 1) if self.training else self.instances_per_pass
        if not self.training and prompts.coords.device.type == 'cpu':
            size = min(size, INSTANCES_IN_CACHE)
        return [
            part
            for members, rows in prompts.groups()
            for part in zip(members.split(size), rows.split(size), strict=True)
        ]

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of every pass.

        Args:
            batch_inputs: (B, 3, S, S), float, normalised and padded images.
            batch_data_samples: with ``gt_instances.prompts`` and ``.masks``.

        Returns:
            The head's losses of the first pass, and with the suffix ``.i``
            those of refinement ``i``.
        """
        # before the encoder, so that a GPU is not waited for to copy them
        device = batch_inputs.device
        prompts = self._prompts(batch_data_samples, device)
        targets = self._targets(
            batch_data_samples, batch_inputs.shape[-1], self.prompt_encoder.mask_prompt_size, device
        )
        embedding = self.extract_feat(batch_inputs)
        if self.interactive:
            return self.interactive.loss(self, embedding, prompts, targets)
        logits, iou = self.decode(
            embedding, prompts, mask_prompt=None, candidates=published_candidates(0, self.num_refinements)
        )
        losses = self.bbox_head.loss(logits, iou, targets)
        for i in range(self.num_refinements):
            # the mask prompt keeps its gradient, as the published model was trained
            logits, iou = self.decode(
                embedding,
                prompts,
                mask_prompt=logits,
                candidates=published_candidates(i + 1, self.num_refinements),
            )
            refined = self.bbox_head.loss(logits, iou, targets)
            losses.update({f'{name}.{i}': value for name, value in refined.items()})
        return losses

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """One mask for each prompt.

        Args:
            batch_inputs: (B, 3, S, S), float, normalised and padded images.
            batch_data_samples: with ``gt_instances.prompts``; nothing else of
                the ground truth is used but ``labels``, which are passed on.
            rescale: masks and boxes at the size of the original image rather
                than of the resized one.

        Returns:
            The samples, with ``pred_instances``: ``bboxes`` (N, 4) float32
            xyxy, ``labels`` (N,) int64, ``scores`` (N,) float32, the predicted
            IoU as it is, and ``masks`` (N, H, W) bool.
        """
        embedding = self.extract_feat(batch_inputs)
        prompts = self._prompts(batch_data_samples, embedding.device)
        logits, iou = self.predict_logits(embedding, prompts, batch_data_samples)
        per_image = prompts.instances_per_image()
        for sample, of_image, scores in zip(
            batch_data_samples, logits[:, 0].split(per_image), iou[:, 0].split(per_image), strict=True
        ):
            size_hw = sample.ori_shape if rescale else sample.img_shape
            found = self._image_masks(of_image, sample, size_hw)
            labels = sample.gt_instances.get('labels', scores.new_zeros(len(scores), dtype=torch.long))
            sample.pred_instances = InstanceData(
                bboxes=found.boxes, labels=labels, scores=scores.float(), masks=found.masks
            )
        return batch_data_samples

    def predict_logits(
        self,
        embedding: Tensor,
        prompts: PromptBatch,
        samples: Sequence[DetDataSample],
        *,
        mask_prompt: Tensor | None = None,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Run all passes of inference and choose by predicted IoU.

        Args:
            embedding: (B, C, h, w), float, image embeddings.
            prompts: the prompts of M instances.
            samples: B samples that tell the sizes of their images.
            mask_prompt: (M, 1, 4h, 4w), float, mask logits of an earlier
                answer, for the first pass.
            refinements: passes after the first; None for ``inference_refinements``.
            all_candidates: the three candidates rather than the best of them.

        Returns:
            Mask logits (M, K, 4h, 4w) and predicted IoU (M, K), K = 1 or 3.
        """
        refinements = self.inference_refinements if refinements is None else refinements
        logits, iou = self.decode(
            embedding,
            prompts,
            mask_prompt=mask_prompt,
            candidates=published_candidates(0, refinements),
            best_only=refinements == 0 and not all_candidates,
        )
        if refinements and self.point_refinement == 'predicted_box' and any(prompts.lone_points):
            prompts = prompts.with_boxes(self._predicted_boxes(logits, prompts, samples), prompts.lone_points)
        for i in range(1, refinements + 1):
            logits, iou = self.decode(
                embedding,
                prompts,
                mask_prompt=logits,
                candidates=published_candidates(i, refinements),
                best_only=i == refinements and not all_candidates,
            )
        return logits, iou

    def _predicted_boxes(
        self, logits: Tensor, prompts: PromptBatch, samples: Sequence[DetDataSample]
    ) -> Tensor:
        """Boxes (M, 4), xyxy pixels of the padded input, of the masks of lone clicks; zeros elsewhere."""
        lone = torch.tensor(prompts.lone_points, device=logits.device)
        boxes = logits.new_zeros((len(logits), 4))
        for i, sample in enumerate(samples):
            members = (lone & (prompts.image_index == i)).nonzero()[:, 0]
            of_masks = self._image_masks(logits[members, 0], sample, sample.ori_shape).boxes
            # published: scaled like a given box, but without the shift to pixel centres
            boxes[members] = of_masks.to(boxes) * boxes.new_tensor(tuple(sample.scale_factor) * 2)
        return boxes

    def _image_masks(self, logits: Tensor, sample: DetDataSample, size_hw: Sequence[int]) -> ImageMasks:
        """Masks of one image, at a size, from their logits (N, 4h, 4w)."""
        placement = Placement(
            input_size=self.prompt_encoder.img_size,
            resized_hw=(sample.img_shape[0], sample.img_shape[1]),
            original_hw=(size_hw[0], size_hw[1]),
        )
        return ImageMasks(logits, placement, self.bbox_head.mask_upsampling)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """Mask logits (M, 1, 4h, 4w) and predicted IoU (M, 1) after all passes, without post-processing."""
        embedding = self.extract_feat(batch_inputs)
        return self.predict_logits(
            embedding, self._prompts(batch_data_samples, embedding.device), batch_data_samples
        )

    @staticmethod
    def _prompts(samples: Sequence[DetDataSample], device: torch.device) -> PromptBatch:
        for sample in samples:
            if 'prompts' not in sample.gt_instances:
                raise ConfigError(
                    'a sample came without prompts: end the pipeline with SamplePrompts and PackPromptedInputs'
                )
            for i, prompt in enumerate(sample.gt_instances.prompts):
                prompt.check_inside(sample.img_shape[:2], f'{sample.get("img_path", "an image")}, object {i}')
        return PromptBatch.from_prompts([sample.gt_instances.prompts for sample in samples], device)

    @staticmethod
    def _targets(
        samples: Sequence[DetDataSample], input_size: int, target_size: int, device: torch.device
    ) -> Tensor:
        """Targets (M, 4h, 4w), float, of all instances; those that the pipeline made are taken as they are."""
        targets = []
        for sample in samples:
            instances = sample.gt_instances
            if sample.get('target_sizes') == (input_size, target_size):
                targets.append(instances.mask_targets.to(device, non_blocking=True).float())
            else:
                masks = instances.masks.to_tensor(torch.uint8, device)
                targets.append(mask_targets(masks, input_size, target_size))
        return torch.cat(targets)
