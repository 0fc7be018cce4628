"""Facts of the descriptions that tools on a whole corpus need: organs, and which data sets share their patients."""

from __future__ import annotations

from functools import lru_cache

from ultrasam.corpus.library import CORPUS, description_folder
from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.corpus.spec import DatasetSpec


@lru_cache(maxsize=1)
def described() -> dict[str, DatasetSpec]:
    """Descriptions of this project by the names of their data sets.

    Raises:
        ConfigError: they are neither in a checkout around this package nor installed with it.
    """
    specs = (load_spec(path) for path in list_descriptions(description_folder(CORPUS)).values())
    return {spec.name: spec for spec in specs}


def organs_of(dataset: str) -> tuple[str, ...]:
    """Organs that a data set shows; none where that is not known, since no description is of this name."""
    spec = described().get(dataset)
    return () if spec is None else spec.organs


def release_of(dataset: str) -> str:
    """The name under which the patients of a data set are known; that of another where both are one release."""
    spec = described().get(dataset)
    return dataset if spec is None else spec.patients_of or dataset
