"""The model in plain PyTorch. Begin with ``ultrasam.py``, which walks from a click to a mask."""

from .adapters import LoraImageEncoder, MedSaImageEncoder
from .image_encoder import SamImageEncoder
from .mask_decoder import Decoded, MaskDecoder
from .postprocess import ImageGeometry
from .prompt_encoder import SamPromptEncoder
from .prompted_classifier import ClassifyingMaskDecoder, ImageEmbedding, PromptedClassifier
from .two_way_transformer import SamTwoWayTransformer
from .ultrasam import Answer, UltraSam

__all__ = [
    'Answer',
    'ClassifyingMaskDecoder',
    'Decoded',
    'ImageEmbedding',
    'ImageGeometry',
    'LoraImageEncoder',
    'MaskDecoder',
    'MedSaImageEncoder',
    'PromptedClassifier',
    'SamImageEncoder',
    'SamPromptEncoder',
    'SamTwoWayTransformer',
    'UltraSam',
]
