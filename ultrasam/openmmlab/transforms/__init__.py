"""Pipeline steps: loading of instance annotations, simulated prompts, packing."""

from ultrasam.openmmlab.transforms.cropped_masks import CroppedMask, CroppedMasks
from ultrasam.openmmlab.transforms.loading import LoadCachedImage, LoadFrame, LoadInstanceAnnotations
from ultrasam.openmmlab.transforms.packing import PackPromptedInputs
from ultrasam.openmmlab.transforms.prompts import PromptDraw, PromptRecipe, apply_draw, draw_prompt
from ultrasam.openmmlab.transforms.resizing import ContiguousRandomFlip, SquareSplineResize
from ultrasam.openmmlab.transforms.sampling import SamplePrompts

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
