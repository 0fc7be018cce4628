"""The two ONNX files of a model, and how they are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ENCODER_SUFFIX = '.encoder.onnx'
DECODER_SUFFIX = '.decoder_all_masks.onnx'


@dataclass(frozen=True)
class OnnxPair:
    """The two ONNX files of a model.

    Args:
        encoder: File that turns an image into an embedding.
        decoder: File that turns an embedding and prompts into four masks.
    """

    encoder: Path
    decoder: Path
