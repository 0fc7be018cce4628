"""The descriptions that come with this package, in a checkout or installed, and those of a user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ultrasam.corpus.loading import list_descriptions
from ultrasam.errors import ConfigError

CORPUS, CLASSIFICATION = 'us43d', 'classification'
"""Folders of descriptions: datasets with masks, and sets of classified images."""


def description_folder(kind: str) -> Path:
    """Return the folder of the descriptions of a kind.

    Raises:
        ConfigError: They are neither in a checkout around this package nor installed with it.
    """
    package = Path(__file__).resolve().parents[1]
    places = [root / 'datasets' / kind for root in (package.parent, package / '.mim')]
    for folder in places:
        if folder.is_dir():
            return folder
    raise ConfigError(
        f'no descriptions of datasets in {" or ".join(map(str, places))}: install the package anew'
    )


def known_descriptions() -> dict[str, Path]:
    """Return all description files that come with this package, by their short names."""
    return {
        name: path
        for kind in (CORPUS, CLASSIFICATION)
        for name, path in list_descriptions(description_folder(kind)).items()
    }


def find_description(name: str, known: Mapping[str, Path]) -> Path:
    """Return the description file of a short name, or the file that a user names.

    Args:
        name: Short name, or path of a description file, which ends in ``.py``.
        known: Description files by their short names.

    Raises:
        ConfigError: There is no such description.
    """
    if name in known:
        return known[name]
    if not name.endswith('.py'):
        raise ConfigError(
            f'no data set {name!r}; there are {", ".join(known)}. Or give the path of a description'
        )
    if not Path(name).is_file():
        raise ConfigError(f'{name}: no such description; `ultrasam data new NAME` begins one')
    return Path(name).resolve()
