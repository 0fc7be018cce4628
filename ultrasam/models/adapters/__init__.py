"""Image encoders with adapters: a frozen encoder and a few parameters that are trained."""

from .loading import base_fingerprint
from .lora import LoraImageEncoder
from .med_sa import MedSaImageEncoder

__all__ = ['LoraImageEncoder', 'MedSaImageEncoder', 'base_fingerprint']
