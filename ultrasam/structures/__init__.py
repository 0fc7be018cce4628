"""Data structures shared by transforms, models and inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .frames import Frame, ObjectPrompt, Segmentation, VolumeGeometry
from .prompts import Prompt

if TYPE_CHECKING:
    from .prompt_batch import PromptBatch

__all__ = ['Frame', 'ObjectPrompt', 'Prompt', 'PromptBatch', 'Segmentation', 'VolumeGeometry']


def __getattr__(name: str) -> Any:
    """Load the batch of prompts when it is asked for: everything else needs no deep-learning library."""
    if name == 'PromptBatch':
        from .prompt_batch import PromptBatch

        return PromptBatch
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
