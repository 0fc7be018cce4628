"""Hooks of the runner."""

from ultrasam.hooks.adapters import AdapterCheckpointHook
from ultrasam.hooks.annotations import SameAnnotationsHook
from ultrasam.hooks.checkpoint import StrictCheckpointHook, VerifiedCheckpointHook
from ultrasam.hooks.classes import SameClassesHook
from ultrasam.hooks.throughput import ThroughputHook

__all__ = [
    'AdapterCheckpointHook',
    'SameAnnotationsHook',
    'SameClassesHook',
    'StrictCheckpointHook',
    'ThroughputHook',
    'VerifiedCheckpointHook',
]
