"""Importing this module registers every class with mmdet, and the safe checkpoint reader with mmengine."""

import contextlib
import io

# both print a line about a package that nobody needs
with contextlib.redirect_stdout(io.StringIO()):
    import mmdet.datasets  # noqa: F401
    import mmpretrain.datasets  # noqa: F401

import ultrasam.datasets
import ultrasam.evaluation.coco_metric
import ultrasam.evaluation.object_label_metric
import ultrasam.hooks
import ultrasam.loops
import ultrasam.openmmlab.models
import ultrasam.optim
import ultrasam.transforms
import ultrasam.visualization.prompt_visualizer
from ultrasam.checkpoints import install_safe_loader

__all__ = ['ultrasam']

install_safe_loader()
