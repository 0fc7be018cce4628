"""Readers and writers of files, and the predictor under its older name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ultrasam.predict import UltraSamInferencer

__all__ = ['UltraSamInferencer']


def __getattr__(name: str) -> Any:
    """Load the predictor when it is asked for: finding files needs none."""
    if name == 'UltraSamInferencer':
        from ultrasam.predict import UltraSamInferencer

        return UltraSamInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
