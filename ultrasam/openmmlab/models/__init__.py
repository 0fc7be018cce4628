"""The plain modules under the names of configs, and the detectors that train and predict with them."""

from .baselines import MedSam, SegmentAnything
from .detector import AdaptedUltraSam, UltraSamDetector
from .encoders import LoraImageEncoderFromFile
from .heads import SamClassificationHead, SamMaskHead
from .preprocessing import MinMaxPreprocessor
from .procedures import CorrectiveClicks, TwoPass
from .prompted_classifier import PromptedClassifierDetector

__all__ = [
    'AdaptedUltraSam',
    'CorrectiveClicks',
    'LoraImageEncoderFromFile',
    'MedSam',
    'MinMaxPreprocessor',
    'PromptedClassifierDetector',
    'SamClassificationHead',
    'SamMaskHead',
    'SegmentAnything',
    'TwoPass',
    'UltraSamDetector',
]
