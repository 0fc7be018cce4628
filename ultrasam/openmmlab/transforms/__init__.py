"""Pipeline steps: loading of instance annotations, simulated prompts, packing."""

from ultrasam.masks.cropped import CroppedMask
from ultrasam.openmmlab.transforms.cropped_masks import CroppedMasks
from ultrasam.openmmlab.transforms.loading import LoadCachedImage, LoadFrame, LoadInstanceAnnotations
from ultrasam.openmmlab.transforms.packing import PackPromptedInputs
from ultrasam.openmmlab.transforms.resizing import ContiguousRandomFlip, SquareSplineResize
from ultrasam.openmmlab.transforms.sampling import SamplePrompts
from ultrasam.prompts.recipe import PromptDraw, PromptRecipe, apply_draw, draw_prompt

__all__ = [
    'ContiguousRandomFlip',
    'CroppedMask',
    'CroppedMasks',
    'LoadCachedImage',
    'LoadFrame',
    'LoadInstanceAnnotations',
    'PackPromptedInputs',
    'PromptDraw',
    'PromptRecipe',
    'SamplePrompts',
    'SquareSplineResize',
    'apply_draw',
    'draw_prompt',
]
