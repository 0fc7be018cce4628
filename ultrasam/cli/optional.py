"""Commands that need PyTorch say so before they start."""

from __future__ import annotations

from importlib.util import find_spec

from ultrasam.errors import ConfigError

TRAIN_PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain')


def needs_torch(what: str) -> None:
    """Check that PyTorch and OpenMMLab are installed, without loading them.

    Args:
        what: What needs them, as the subject of a sentence.

    Raises:
        ConfigError: One of them is missing.
    """
    missing = [name for name in TRAIN_PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f'{what} needs {", ".join(missing)}, which {"is" if len(missing) == 1 else "are"} not installed: '
            "pip install 'ultrasam[train]', or `make env` in a checkout"
        )
