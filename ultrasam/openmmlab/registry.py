"""Importing this module registers every class of this package with mmdet and mmpretrain, and changes nothing else."""

import contextlib
import io

# both print a line about a package that nobody needs
with contextlib.redirect_stdout(io.StringIO()):
    import mmdet.datasets  # noqa: F401
    import mmpretrain.datasets  # noqa: F401

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
