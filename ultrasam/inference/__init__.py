"""Masks for prompts on plain images, videos, DICOM files and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ultrasam.inference.inferencer import UltraSamInferencer

__all__ = ['UltraSamInferencer']


def __getattr__(name: str) -> Any:
    """Load the inferencer when it is asked for: reading a file needs no deep-learning library."""
    if name == 'UltraSamInferencer':
        from ultrasam.inference.inferencer import UltraSamInferencer

        return UltraSamInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
