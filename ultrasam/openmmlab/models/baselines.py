"""Segment Anything and MedSAM as themselves: the network of UltraSam with the inference of their own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mmdet.registry import MODELS
from mmdet.structures import DetDataSample

from ultrasam.models.postprocess import ImageGeometry
from ultrasam.openmmlab.models.detector import UltraSamDetector


@MODELS.register_module()
class SegmentAnything(UltraSamDetector):
    """Segment Anything (Kirillov et al. 2023, section 3): one pass over the given prompt.

    A single click, which may mean several objects, gets the best by predicted IoU of the three candidates; every other
    prompt gets the single mask. The config makes it an ordinary decoder (``mlp_skip='single'``) that refines nothing
    (``inference_refinements=0``) and interpolates logits (``mask_upsampling='logits'``). Further passes that a caller
    asks for are those of UltraSam.

    Args:
        **detector: Arguments of :class:`UltraSamDetector`.
    """

    mask_choice = 'segment_anything'


@MODELS.register_module()
class MedSam(UltraSamDetector):
    """MedSAM (Ma et al. 2024): the single mask for every prompt, interpolated straight to the image.

    The image fills the whole input, squeezed to a square (``SquareSplineResize`` in the pipeline). It was trained on
    boxes alone, so that other prompts mean little to it.

    Args:
        **detector: Arguments of :class:`UltraSamDetector`.
    """

    mask_choice = 'single'

    def geometry(self, sample: DetDataSample, size_hw: Sequence[int]) -> ImageGeometry:
        """Return the geometry of an image that fills the mask logits."""
        side = self.prompt_encoder.mask_prompt_size
        return replace(super().geometry(sample, size_hw), input_size=side, resized_hw=(side, side))
