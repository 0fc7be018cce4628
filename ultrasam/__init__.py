"""UltraSam: promptable segmentation for ultrasound.

Importing this package is cheap: no deep-learning library is loaded, and the names below come when they are asked for.
Configs import ``ultrasam.openmmlab.registry``, which registers every model, transform, hook and visualizer with mmdet.

Example:
    >>> from ultrasam import Predictor
    >>> Predictor()('frame.png', ObjectPrompt(points_xy=[(120, 80)]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ultrasam.version import __version__

if TYPE_CHECKING:
    from ultrasam.openmmlab.inferencer import UltraSamInferencer
    from ultrasam.predict import ObjectPrompt, Predictor, Segmentation

__all__ = ['ObjectPrompt', 'Predictor', 'Segmentation', 'UltraSamInferencer', '__version__']


def __getattr__(name: str) -> Any:
    """Import the predictor and what belongs to it on first use."""
    if name == 'UltraSamInferencer':
        from ultrasam.openmmlab.inferencer import UltraSamInferencer

        return UltraSamInferencer
    if name in __all__:
        from ultrasam import predict

        return getattr(predict, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    """List the public names, those that are not imported yet included."""
    return sorted({*globals(), *__all__})
