"""Libraries that only an export needs."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ultrasam.errors import ConfigError


def require(module: str) -> ModuleType:
    """Import a module of the extra ``export``.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split('.', maxsplit=1)[0]
        raise ConfigError(
            f"this export needs the package {package} ({error}): pip install 'ultrasam[export]'"
        ) from None
