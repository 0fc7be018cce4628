"""Hooks of the runner."""

from ultrasam.openmmlab.hooks.adapters import AdapterCheckpointHook
from ultrasam.openmmlab.hooks.annotations import SameAnnotationsHook
from ultrasam.openmmlab.hooks.checkpoint import StrictCheckpointHook, VerifiedCheckpointHook
from ultrasam.openmmlab.hooks.classes import SameClassesHook
from ultrasam.openmmlab.hooks.progress import FirstStepLoggerHook
from ultrasam.openmmlab.hooks.throughput import ThroughputHook

__all__ = [
    'AdapterCheckpointHook',
    'FirstStepLoggerHook',
    'SameAnnotationsHook',
    'SameClassesHook',
    'StrictCheckpointHook',
    'ThroughputHook',
    'VerifiedCheckpointHook',
]
