"""ONNX files of a checkpoint, made on first use and kept by the hash of the weights."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from ultrasam.hashing import file_sha256
from ultrasam.predict.weights import find_weights
from ultrasam.structures.onnx_pair import OnnxPair
from ultrasam.version import __version__

_logger = logging.getLogger(__name__)


def exported_pair(checkpoint: Path) -> OnnxPair:
    """Return the ONNX pair of a checkpoint, exporting it if that was not done before.

    The pairs are kept in ``$XDG_CACHE_HOME/ultrasam/onnx``, else in ``~/.cache/ultrasam/onnx``.

    Raises:
        CheckpointError: The checkpoint is not a promptable UltraSam model, or does not fit ONNX files.
        ConfigError: The package onnx is missing.
        OutputError: The cache folder cannot be written to.
    """
    root = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    folder = root / 'ultrasam' / 'onnx' / f'{file_sha256(checkpoint)}-{__version__}'
    if not folder.is_dir():
        from ultrasam.export import export_checkpoint

        _logger.info('exporting %s to ONNX, once: %s', checkpoint, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        export_checkpoint(checkpoint, folder, 'predictor')
    pair = find_weights(folder)
    assert isinstance(pair, OnnxPair)  # noqa: S101  a folder is a pair or an error
    return pair
