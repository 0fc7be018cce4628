"""The model as two ONNX files in onnxruntime: no deep-learning library is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ultrasam.errors import CheckpointError
from ultrasam.predict.engines.base import Decoded, ModelInfo
from ultrasam.structures.onnx_pair import OnnxPair

# ONNX graphs keep what the predictor must know under this name of their metadata
PREDICTOR_PROPERTY = 'predictor'
_SOURCE_PROPERTY = 'source_sha256'
_ERRORS_ONLY = 3


class OnnxEngine:
    """Runs an encoder and a decoder that were exported together (``ultrasam weights export``).

    Args:
        pair: The two files.
        threads: Threads of one call; None for one a core.

    Raises:
        CheckpointError: A file is damaged, is not one of ours, or the two belong to different models.
    """

    batch_size = 1

    def __init__(self, pair: OnnxPair, *, threads: int | None = None) -> None:
        self._encoder, encoder_facts = _open(pair.encoder, 'input_image', threads)
        self._decoder, facts = _open(pair.decoder, 'image_embeddings', threads)
        if encoder_facts[_SOURCE_PROPERTY] != facts[_SOURCE_PROPERTY]:
            raise CheckpointError(
                f'{pair.encoder.name} and {pair.decoder.name} belong to different models (sha256 of their sources: '
                f'{encoder_facts[_SOURCE_PROPERTY][:12]} and {facts[_SOURCE_PROPERTY][:12]}): export both from one '
                'checkpoint'
            )
        self.info = ModelInfo(**json.loads(facts[PREDICTOR_PROPERTY]), key=f'onnx-{facts[_SOURCE_PROPERTY]}')
        self.source = pair.encoder
        self._options = onnxruntime.RunOptions()
        # without it the masks at image size are computed too, which nobody reads
        self._options.only_execute_path_to_fetches = True

    def encode(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Encode images; see :meth:`ultrasam.predict.engines.base.Engine.encode`."""
        return [
            self._encoder.run(['image_embeddings'], {'input_image': image.astype(np.float32)})[0][0]
            for image in images
        ]

    def prepare(self, embedding: np.ndarray) -> np.ndarray:
        """Return the embedding itself; see :meth:`ultrasam.predict.engines.base.Engine.prepare`."""
        return embedding

    def decode(
        self, embedding: np.ndarray, coords: np.ndarray, labels: np.ndarray, mask_logits: np.ndarray | None
    ) -> Decoded:
        """Decode prompts; see :meth:`ultrasam.predict.engines.base.Engine.decode`."""
        size = self.info.mask_size
        shared = {
            'image_embeddings': embedding[None],
            'has_mask_input': np.array([mask_logits is not None], np.float32),
            'orig_im_size': np.ones(2, np.float32),
        }
        masks = np.zeros((len(coords), 1, size, size), np.float32) if mask_logits is None else mask_logits
        answers = [
            self._decoder.run(
                ['low_res_masks', 'iou_predictions'],
                {
                    **shared,
                    'point_coords': coords[i : i + 1].astype(np.float32),
                    'point_labels': labels[i : i + 1].astype(np.float32),
                    'mask_input': masks[i : i + 1],
                },
                self._options,
            )
            for i in range(len(coords))
        ]
        return Decoded(
            logits=np.concatenate([logits for logits, _ in answers]),
            iou=np.concatenate([iou for _, iou in answers]),
        )


def _open(
    path: Path, first_input: str, threads: int | None
) -> tuple[onnxruntime.InferenceSession, Mapping[str, Any]]:
    """Open a file and return its session and its metadata.

    Raises:
        CheckpointError: The file is not a graph of ours.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # its errors share no base class
        reason = ' '.join(str(error).split())[-160:]
        raise CheckpointError(
            f'{path}: not an ONNX file that onnxruntime can load ({reason}). Copy or export it again'
        ) from None
    facts = session.get_modelmeta().custom_metadata_map
    names = [value.name for value in session.get_inputs()]
    if first_input not in names or PREDICTOR_PROPERTY not in facts or _SOURCE_PROPERTY not in facts:
        raise CheckpointError(
            f'{path}: an ONNX file with inputs {", ".join(names)}, but not one that the predictor can use: '
            'write the pair with `ultrasam weights export CHECKPOINT OUT`'
        )
    return session, facts
