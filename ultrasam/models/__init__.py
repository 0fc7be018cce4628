"""The model: image encoder, prompt encoder, two-way transformer, mask head, and the detector that joins them."""

from .adapters import (
    AdaptedUltraSam,
    LoraImageEncoder,
    MedSaImageEncoder,
    TrainableOptimWrapperConstructor,
)
from .baselines import MedSam, SegmentAnything
from .classification_head import SamClassificationHead
from .detector import UltraSam
from .image_encoder import SamImageEncoder
from .mask_head import SamMaskHead
from .preprocessing import MinMaxPreprocessor, ResizingPreprocessor
from .prompt_encoder import SamPromptEncoder
from .prompted_classifier import PromptedClassifier
from .two_way_transformer import SamTwoWayTransformer

__all__ = [
    'AdaptedUltraSam',
    'LoraImageEncoder',
    'MedSaImageEncoder',
    'MedSam',
    'MinMaxPreprocessor',
    'PromptedClassifier',
    'ResizingPreprocessor',
    'SamClassificationHead',
    'SamImageEncoder',
    'SamMaskHead',
    'SamPromptEncoder',
    'SamTwoWayTransformer',
    'SegmentAnything',
    'TrainableOptimWrapperConstructor',
    'UltraSam',
]
