"""Importing this module registers every UltraSam class with mmdet's registries."""

import ultrasam.models

__all__ = ['ultrasam']
