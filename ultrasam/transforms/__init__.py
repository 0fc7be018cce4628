"""Pipeline steps: loading of instance annotations, simulated prompts, packing."""

from ultrasam.transforms.cropped_masks import CroppedMask, CroppedMasks
from ultrasam.transforms.loading import LoadCachedImage, LoadInstanceAnnotations
from ultrasam.transforms.packing import PackPromptedInputs
from ultrasam.transforms.prompts import PromptDraw, PromptRecipe, apply_draw, draw_prompt
from ultrasam.transforms.resizing import ContiguousRandomFlip, SquareSplineResize
from ultrasam.transforms.sampling import SamplePrompts

__all__ = [
    'ContiguousRandomFlip',
    'CroppedMask',
    'CroppedMasks',
    'LoadCachedImage',
    'LoadInstanceAnnotations',
    'PackPromptedInputs',
    'PromptDraw',
    'PromptRecipe',
    'SamplePrompts',
    'SquareSplineResize',
    'apply_draw',
    'draw_prompt',
]
