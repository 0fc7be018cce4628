"""The only place that opens a checkpoint: reading without running code, and loading all weights or none."""

from ultrasam.checkpoints.reader import Checkpoint, load_checkpoint_file
from ultrasam.checkpoints.runner import install_safe_loader
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
    'check_finite',
    'check_fit',
    'compare_keys',
    'install_safe_loader',
    'load_checkpoint_file',
    'load_strict',
    'state_dict_of',
]
