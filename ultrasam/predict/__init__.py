"""Masks for clicks and boxes, without a deep-learning library: ``Predictor`` and what it takes and gives.

From click to mask: ``predictor`` turns the prompt into tokens (``prompts``), an engine encodes and decodes
(``engines``), and ``postprocess`` brings the mask to the size of the image.
"""

from ultrasam.predict.predictor import EncodedImage, Predictor
from ultrasam.structures.frames import Frame, ObjectPrompt, Segmentation

__all__ = ['EncodedImage', 'Frame', 'ObjectPrompt', 'Predictor', 'Segmentation']
