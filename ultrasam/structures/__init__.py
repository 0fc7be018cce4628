"""Data structures shared by transforms, models and inference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .frames import Frame, ObjectPrompt, Segmentation, VolumeGeometry

if TYPE_CHECKING:
    from .prompts import Prompt, PromptBatch

__all__ = ['Frame', 'ObjectPrompt', 'Prompt', 'PromptBatch', 'Segmentation', 'VolumeGeometry']


def __getattr__(name: str) -> Any:
    """Load the prompts of the network when they are asked for: frames need no deep-learning library."""
    if name in ('Prompt', 'PromptBatch'):
        from . import prompts

        return getattr(prompts, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
