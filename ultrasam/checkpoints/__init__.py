"""The one place that opens a checkpoint: reading without running code, and loading all weights or none."""

from ultrasam.checkpoints.digests import check_digest, publish_checkpoint
from ultrasam.checkpoints.reader import Checkpoint, load_checkpoint_file
from ultrasam.checkpoints.state_dicts import (
    KeyReport,
    check_finite,
    check_fit,
    compare_keys,
    load_strict,
    state_dict_of,
)

__all__ = [
    'Checkpoint',
    'KeyReport',
    'check_digest',
    'check_finite',
    'check_fit',
    'compare_keys',
    'load_checkpoint_file',
    'load_strict',
    'publish_checkpoint',
    'state_dict_of',
]
