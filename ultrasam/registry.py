"""Importing this module registers every UltraSam class with mmdet's registries, and the safe checkpoint reader."""

import ultrasam.datasets
import ultrasam.hooks
import ultrasam.models
import ultrasam.optim
import ultrasam.transforms
import ultrasam.visualization
from ultrasam.checkpoints import install_safe_loader

__all__ = ['ultrasam']

install_safe_loader()
