"""Checkpoints in MMEngine: safe loading, training state, where to resume."""
