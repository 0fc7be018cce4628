"""Image encoders with adapters: a frozen encoder and a few parameters that are trained."""

from .detector import AdaptedUltraSam
from .loading import base_fingerprint
from .lora import LoraImageEncoder
from .med_sa import MedSaImageEncoder
from .optim import TrainableOptimWrapperConstructor

__all__ = [
    'AdaptedUltraSam',
    'LoraImageEncoder',
    'MedSaImageEncoder',
    'TrainableOptimWrapperConstructor',
    'base_fingerprint',
]
