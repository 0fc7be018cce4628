"""Masks: run lengths, COCO segmentations, foreground positions, and their checks."""
