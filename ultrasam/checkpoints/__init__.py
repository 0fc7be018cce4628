"""The only place that opens a checkpoint: reading without running code, and loading all weights or none.

The names below are imported when they are first used: commands that need no torch start without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ultrasam.checkpoints.digests import check_digest, publish_checkpoint
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
    'check_digest',
    'check_finite',
    'check_fit',
    'compare_keys',
    'install_safe_loader',
    'load_checkpoint_file',
    'load_strict',
    'publish_checkpoint',
    'state_dict_of',
]

_MODULES = {
    'digests': ('check_digest', 'publish_checkpoint'),
    'reader': ('Checkpoint', 'load_checkpoint_file'),
    'runner': ('install_safe_loader',),
    'state_dicts': (
        'KeyReport',
        'check_finite',
        'check_fit',
        'compare_keys',
        'load_strict',
        'state_dict_of',
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOME[name]}'), name)
