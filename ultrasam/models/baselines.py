"""Segment Anything and MedSAM as themselves: the network of UltraSam with the inference of their own code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from torch import Tensor

from ultrasam.models.detector import UltraSam
from ultrasam.models.mask_head import ALL_MASKS, MULTI_MASK
from ultrasam.models.postprocess import ImageMasks, Placement
from ultrasam.structures import PromptBatch


@MODELS.register_module()
class SegmentAnything(UltraSam):
    """Segment Anything (Kirillov et al. 2023, section 3): one pass over the given prompt.

    A lone click, which may mean several objects, gets the best by predicted
    IoU of the three candidates; every other prompt gets the single mask. The
    config makes it an ordinary decoder (``mlp_skip='single'``) that refines
    nothing (``inference_refinements=0``) and interpolates logits
    (``mask_upsampling='logits'``). Further passes that a caller asks for are
    those of :class:`UltraSam`.

    Args:
        **detector: arguments of :class:`UltraSam`.
    """

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
        """Mask logits (M, K, 4h, 4w) and predicted IoU (M, K), K = 1 or 3; see :class:`UltraSam`."""
        passes = self.inference_refinements if refinements is None else refinements
        if passes or all_candidates:
            return super().predict_logits(
                embedding,
                prompts,
                samples,
                mask_prompt=mask_prompt,
                refinements=passes,
                all_candidates=all_candidates,
            )
        logits, iou = self.decode(embedding, prompts, mask_prompt=mask_prompt, candidates=ALL_MASKS)
        several = torch.tensor(self._ambiguous(prompts), dtype=torch.bool, device=iou.device)
        chosen = torch.where(several, MULTI_MASK.start + iou[:, MULTI_MASK].argmax(1), 0)[:, None]
        best = chosen[..., None, None].expand(-1, -1, *logits.shape[2:])
        return logits.gather(1, best), iou.gather(1, chosen)

    def _ambiguous(self, prompts: PromptBatch) -> tuple[bool, ...]:
        """For each of M instances whether it gets the best of three candidates."""
        return prompts.lone_points


@MODELS.register_module()
class MedSam(SegmentAnything):
    """MedSAM (Ma et al. 2024): the single mask for every prompt, interpolated straight to the image.

    The image fills the whole input, squeezed to a square
    (:class:`~ultrasam.transforms.SquareSplineResize`). It was trained on boxes
    alone, so that other prompts mean little to it.

    Args:
        **detector: arguments of :class:`UltraSam`.
    """

    def _ambiguous(self, prompts: PromptBatch) -> tuple[bool, ...]:
        return (False,) * len(prompts)

    def _image_masks(self, logits: Tensor, sample: DetDataSample, size_hw: Sequence[int]) -> ImageMasks:
        side = self.prompt_encoder.mask_prompt_size
        placement = Placement(input_size=side, resized_hw=(side, side), original_hw=(size_hw[0], size_hw[1]))
        return ImageMasks(logits, placement, self.bbox_head.mask_upsampling)
