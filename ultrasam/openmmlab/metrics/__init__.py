"""Metrics that configs name."""

from ultrasam.openmmlab.metrics.classification import ClassificationMetric
from ultrasam.openmmlab.metrics.coco import UltraSamCocoMetric
from ultrasam.openmmlab.metrics.object_labels import ObjectLabelMetric
from ultrasam.openmmlab.metrics.regression import AgreementMetric

__all__ = ['AgreementMetric', 'ClassificationMetric', 'ObjectLabelMetric', 'UltraSamCocoMetric']
