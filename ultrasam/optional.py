"""Packages that only some of the work needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ultrasam.errors import ConfigError, UltraSamError


def optional_module(name: str, *, need: str, extra: str, error: type[UltraSamError] = ConfigError) -> Any:
    """Import a module of a package that not everybody has installed.

    Args:
        name: Name of the module.
        need: What needs it, as the subject of a sentence.
        extra: Extra of this package that installs it.
        error: Class of what is raised.

    Raises:
        UltraSamError: It is not installed; of the class ``error``.
    """
    try:
        return import_module(name)
    except ImportError as reason:
        package = name.partition('.')[0]
        raise error(
            f'{need} needs {package}, which is not installed ({reason}): pip install "ultrasam[{extra}]"'
        ) from reason
