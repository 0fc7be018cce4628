"""Masks: their forms, checks and measures."""
