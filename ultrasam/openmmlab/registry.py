"""Importing this module registers every class of this package with mmdet and mmpretrain, and changes nothing else."""

from ultrasam.openmmlab.quiet_imports import quiet_imports

with quiet_imports():
    import mmdet.datasets
    import mmdet.models  # noqa: F401
    import mmpretrain.datasets
    import mmpretrain.models  # noqa: F401

import ultrasam.openmmlab.datasets
import ultrasam.openmmlab.hooks
import ultrasam.openmmlab.loops
import ultrasam.openmmlab.metrics
import ultrasam.openmmlab.models
import ultrasam.openmmlab.models.classification_model
import ultrasam.openmmlab.models.feature_encoders
import ultrasam.openmmlab.models.regression_head
import ultrasam.openmmlab.optim
import ultrasam.openmmlab.runner
import ultrasam.openmmlab.transforms
import ultrasam.openmmlab.visualizer

__all__ = ['ultrasam']
