"""Facts of the descriptions that tools on a whole corpus need: organs, and which data sets share their patients."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.errors import ConfigError


@lru_cache(maxsize=1)
def described() -> dict[str, DatasetSpec]:
    """Descriptions of this project by the names of their data sets.

    Raises:
        ConfigError: they are neither in a checkout around this package nor installed with it.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package.parent / 'datasets' / 'us43d', package / '.mim' / 'datasets' / 'us43d')
    for folder in places:
        if folder.is_dir():
            specs = (load_spec(path) for path in list_descriptions(folder).values())
            return {spec.name: spec for spec in specs}
    raise ConfigError(
        f'no descriptions of data sets in {" or ".join(map(str, places))}: run this from a checkout of the project'
    )


def organs_of(dataset: str) -> tuple[str, ...]:
    """Organs that a data set shows; none where that is not known, since no description is of this name."""
    spec = described().get(dataset)
    return () if spec is None else spec.organs


def release_of(dataset: str) -> str:
    """The name under which the patients of a data set are known; that of another where both are one release."""
    spec = described().get(dataset)
    return dataset if spec is None else spec.patients_of or dataset
