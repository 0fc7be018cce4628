"""Datasets that configs name."""

from ultrasam.openmmlab.datasets.class_lists import ClassListDataset
from ultrasam.openmmlab.datasets.coco import UltraSamCocoDataset
from ultrasam.openmmlab.datasets.value_lists import ValueListDataset

__all__ = ['ClassListDataset', 'UltraSamCocoDataset', 'ValueListDataset']
