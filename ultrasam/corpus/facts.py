"""What tools on a whole corpus must know of a dataset: its organs, whose patients it shows, and who tests with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from ultrasam.corpus.library import CORPUS, description_folder
from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.errors import ConfigError

KEY = 'facts'
"""Under which a manifest, and the ``info`` of a COCO file, state them."""


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of a dataset, as its description states them.

    Args:
        release: Name under which its patients are known: that of another dataset where both are one release.
        organs: Organs that it shows; none where that is not known.
        public_test: Published comparisons test with it.
        held_out: Models are tested on it that never saw its organ.
    """

    release: str
    organs: tuple[str, ...] = ()
    public_test: bool = False
    held_out: bool = False

    @classmethod
    def of_spec(cls, spec: DatasetSpec) -> DatasetFacts:
        """Return the facts that a description states."""
        return cls(spec.patients_of or spec.name, spec.organs, spec.public_test, spec.held_out)

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {**asdict(self), 'organs': list(self.organs)}


def facts_of(name: str, notes: Mapping[str, Any] = {}) -> DatasetFacts:
    """Return the facts of a dataset.

    Args:
        name: Name of the dataset.
        notes: Its manifest, or the ``info`` of its COCO file. Where these state no facts, as those that the published
            converters wrote, the description of this name tells them, if there is one.
    """
    stated = notes.get(KEY)
    if isinstance(stated, Mapping) and isinstance(stated.get('release'), str):
        return DatasetFacts(
            release=stated['release'],
            organs=tuple(map(str, stated.get('organs', ()))),
            public_test=bool(stated.get('public_test')),
            held_out=bool(stated.get('held_out')),
        )
    spec = described().get(name)
    return DatasetFacts(name) if spec is None else DatasetFacts.of_spec(spec)


@lru_cache(maxsize=1)
def described() -> dict[str, DatasetSpec]:
    """Return the descriptions of the corpus, of a checkout or of the installed package, by their datasets."""
    try:
        folder = description_folder(CORPUS)
    except ConfigError:
        return {}
    specs = (load_spec(path) for path in list_descriptions(folder).values())
    return {spec.name: spec for spec in specs}
