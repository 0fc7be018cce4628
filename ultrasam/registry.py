"""Importing this module registers every class with mmdet, and the safe checkpoint reader with mmengine."""

import ultrasam.datasets
import ultrasam.evaluation.coco_metric
import ultrasam.evaluation.object_label_metric
import ultrasam.hooks
import ultrasam.loops
import ultrasam.openmmlab.models
import ultrasam.optim
import ultrasam.transforms
import ultrasam.visualization
from ultrasam.checkpoints import install_safe_loader

__all__ = ['ultrasam']

install_safe_loader()
