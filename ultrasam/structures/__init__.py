"""Data structures shared by transforms, models and inference."""

from .frames import Frame, ObjectPrompt, Segmentation, VolumeGeometry
from .prompts import Prompt, PromptBatch

__all__ = ['Frame', 'ObjectPrompt', 'Prompt', 'PromptBatch', 'Segmentation', 'VolumeGeometry']
