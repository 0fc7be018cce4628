"""Pipeline steps: loading of instance annotations, simulated prompts, packing."""

from ultrasam.transforms.cropped_masks import CroppedMask, CroppedMasks
from ultrasam.transforms.loading import LoadCachedImage, LoadInstanceAnnotations
from ultrasam.transforms.packing import PackPromptedInputs
from ultrasam.transforms.prepare import PreparePromptedSample
from ultrasam.transforms.prompts import PromptDraw, PromptRecipe, apply_draw, draw_prompt
from ultrasam.transforms.resizing import ContiguousRandomFlip, DeferredResize, SquareSplineResize
from ultrasam.transforms.sampling import SamplePrompts

__all__ = [
    'ContiguousRandomFlip',
    'CroppedMask',
    'CroppedMasks',
    'DeferredResize',
    'LoadCachedImage',
    'LoadInstanceAnnotations',
    'PackPromptedInputs',
    'PreparePromptedSample',
    'PromptDraw',
    'PromptRecipe',
    'SamplePrompts',
    'SquareSplineResize',
    'apply_draw',
    'draw_prompt',
]
