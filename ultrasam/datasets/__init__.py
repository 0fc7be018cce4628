"""Data sets that configs name, and how they read COCO files of any size."""

from ultrasam.datasets.coco import UltraSamCocoDataset

__all__ = ['UltraSamCocoDataset']
