"""Descriptions, loaded from their files by path: the folder that holds them is no package."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from ultrasam.corpus.spec import DatasetSpec
from ultrasam.errors import ConfigError


@lru_cache(maxsize=256)
def load_spec(path: Path) -> DatasetSpec:
    """The ``SPEC`` of a description file. The file is run: it is code of this project, not data of others.

    Raises:
        ConfigError: no such file, one without ``SPEC``, or one whose ``SPEC`` cannot work.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f'{path}: no such description')
    module_spec = importlib.util.spec_from_file_location(f'ultrasam_description_{path.stem}', path)
    if module_spec is None or module_spec.loader is None:
        raise ConfigError(f'{path}: no Python file')
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except ConfigError as error:
        raise ConfigError(f'{path}: {error}') from error
    spec = getattr(module, 'SPEC', None)
    if not isinstance(spec, DatasetSpec):
        raise ConfigError(f'{path}: defines no SPEC = DatasetSpec(...)')
    return spec


def list_descriptions(folder: Path) -> dict[str, Path]:
    """Description files of a folder by their short names, sorted.

    Raises:
        ConfigError: there are none.
    """
    found = {path.stem: path for path in sorted(folder.glob('*.py')) if not path.name.startswith('_')}
    if not found:
        raise ConfigError(f'{folder}: no descriptions of data sets')
    return found
