"""Which units of a corpus become validation: a pure function of what they hold, in no matter what order."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Unit:
    """Images that must stay in one part: those of a subject, and of all subjects that share an image with it.

    Args:
        rank: a digest that orders units, the same on any machine.
        images: number of images in each data set.
        categories: pairs of data set and category that occur in it.
        fixed: the part that a split file gives it; empty if none does.
    """

    rank: str
    images: Counter[str] = field(default_factory=Counter)
    categories: set[tuple[str, int]] = field(default_factory=set)
    fixed: str = ''


def rank_of(seed: int, release: str, subject: str) -> str:
    """The digest that orders subjects: of the seed and of the subject's own names, and of nothing else."""
    return hashlib.sha256(f'{seed}\0{release}\0{subject}'.encode()).hexdigest()


def choose_validation(units: Sequence[Unit], share: float) -> list[bool]:
    """Choose the units of the validation part.

    Each data set gets ``share`` of its images, as nearly as whole units allow, and at least one unit if it has two.
    Each category is on both sides if that is possible: first those that few units have, then the rest by rank.

    Args:
        units: in any order; the choice is the same for any.
        share: of the images of each data set, between 0 and 1.

    Returns:
        For each unit whether it is chosen.
    """
    return _Choice(units, share).chosen


class _Choice:
    def __init__(self, units: Sequence[Unit], share: float) -> None:
        self._units = units
        self.chosen = [unit.fixed == 'val' for unit in units]
        self._of_dataset: dict[str, list[int]] = defaultdict(list)
        self._of_category: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._left: Counter[Hashable] = Counter()
        self._images: Counter[str] = Counter()
        for place in sorted(range(len(units)), key=lambda place: units[place].rank):
            for dataset in sorted(units[place].images):
                self._of_dataset[dataset].append(place)
            for key in sorted(units[place].categories):
                self._of_category[key].append(place)
            if not self.chosen[place]:
                self._left.update([*units[place].images, *units[place].categories])
        totals: Counter[str] = Counter()
        for place, unit in enumerate(units):
            totals.update(unit.images)
            if self.chosen[place]:
                self._images.update(unit.images)
        self._target = {dataset: share * total for dataset, total in totals.items()}
        for key in sorted(self._of_category, key=lambda key: (len(self._of_category[key]), key)):
            self._cover(key)
        for dataset in sorted(self._of_dataset):
            self._fill(dataset)

    def _may_move(self, place: int) -> bool:
        """Whether training keeps a unit of each data set and each category that this one has."""
        unit = self._units[place]
        kept = all(self._left[key] > 1 for key in (*unit.images, *unit.categories))
        return kept and not unit.fixed and not self.chosen[place]

    def _move(self, place: int) -> None:
        unit = self._units[place]
        self.chosen[place] = True
        self._left.subtract([*unit.images, *unit.categories])
        self._images.update(unit.images)

    def _room(self, dataset: str) -> float:
        return self._target[dataset] - self._images[dataset]

    def _smallest(self, dataset: str, places: Iterable[int]) -> int | None:
        """The unit with the fewest images of a data set; of several, the first by rank."""
        return min(
            (place for place in places if self._may_move(place)),
            key=lambda place: (self._units[place].images[dataset], self._units[place].rank),
            default=None,
        )

    def _cover(self, key: tuple[str, int]) -> None:
        """Choose a unit with a category, unless one is chosen: the first that fits, or else the smallest."""
        dataset = key[0]
        places = self._of_category[key]
        if any(self.chosen[place] for place in places):
            return
        for place in places:
            if self._may_move(place) and self._units[place].images[dataset] <= self._room(dataset):
                self._move(place)
                return
        smallest = self._smallest(dataset, places)
        if smallest is not None:
            self._move(smallest)

    def _fill(self, dataset: str) -> None:
        """Choose units by rank up to the share; one more if that comes nearer, or if there is none yet."""
        places = self._of_dataset[dataset]
        for place in places:
            if self._units[place].images[dataset] <= self._room(dataset) and self._may_move(place):
                self._move(place)
        if self._room(dataset) < 0.5 and self._images[dataset]:
            return
        smallest = self._smallest(dataset, places)
        if smallest is None:
            return
        if not self._images[dataset] or self._units[smallest].images[dataset] < 2 * self._room(dataset):
            self._move(smallest)
