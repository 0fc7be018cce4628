"""Hooks of the runner."""

from ultrasam.hooks.checkpoint import StrictCheckpointHook
from ultrasam.hooks.throughput import ThroughputHook

__all__ = ['StrictCheckpointHook', 'ThroughputHook']
