"""Hooks of the runner."""

from ultrasam.hooks.checkpoint import StrictCheckpointHook

__all__ = ['StrictCheckpointHook']
