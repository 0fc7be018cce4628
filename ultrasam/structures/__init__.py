"""Data structures shared by transforms, models and inference."""

from .prompts import Prompt, PromptBatch

__all__ = ['Prompt', 'PromptBatch']
