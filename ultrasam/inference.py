"""The name of earlier versions; the inferencer is ``ultrasam.UltraSamInferencer`` now."""

from ultrasam.openmmlab.inferencer import UltraSamInferencer

__all__ = ['UltraSamInferencer']
