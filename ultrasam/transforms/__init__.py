"""Pipeline steps: loading of instance annotations, simulated prompts, packing."""

from ultrasam.transforms.loading import LoadInstanceAnnotations
from ultrasam.transforms.packing import PackPromptedInputs
from ultrasam.transforms.prompts import PromptDraw, PromptRecipe, apply_draw, draw_prompt
from ultrasam.transforms.resizing import SquareSplineResize
from ultrasam.transforms.sampling import SamplePrompts

__all__ = [
    'LoadInstanceAnnotations',
    'PackPromptedInputs',
    'PromptDraw',
    'PromptRecipe',
    'SamplePrompts',
    'SquareSplineResize',
    'apply_draw',
    'draw_prompt',
]
