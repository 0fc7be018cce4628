"""Parts of a set of classified images: read or drawn, and checked for subjects that are in more than one."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ultrasam.corpus.classification.spec import PARTS, ClassificationSpec, ClassLists, DrawnParts
from ultrasam.corpus.errors import DataFaultsError, Fault
from ultrasam.corpus.partition import Unit, choose_validation, rank_of

Record = Mapping[str, Any]


@dataclass
class PartsReport:
    """What became of one split.

    Args:
        suffix: of its files.
        part_of: of each image by its file name.
        images: of each part.
        labels: of each part, images of each class.
        subjects: of each part.
        shared: images of val whose subject trains, and images of test whose subject trains or validates.
        repeated: the same for images that are there, byte by byte, in such a part.
        warnings: what a user should know.
    """

    suffix: str
    part_of: dict[str, str]
    images: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    subjects: Counter[str] = field(default_factory=Counter)
    shared: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            'images': _plain(self.images),
            'labels': {part: dict(sorted(self.labels[part].items())) for part in PARTS},
            'subjects': _plain(self.subjects),
            'images_of_shared_subjects': _plain(self.shared, PARTS[1:]),
            'repeated_images': _plain(self.repeated, PARTS[1:]),
        }


def choose_parts(spec: ClassificationSpec, records: Sequence[Record]) -> list[PartsReport]:
    """Give each image its part in each split of a description.

    Args:
        spec: the description.
        records: of all frames, with file names.

    Raises:
        DataFaultsError: a subject is in several parts of a split that is described to keep them apart.
    """
    reports = []
    faults: list[Fault] = []
    for one in spec.lists:
        report = PartsReport(one.suffix, _part_of(spec, one, records))
        _count(report, records)
        faults += [] if one.leak or spec.subject is None else _divided(one, report, records)
        report.warnings = _warnings(spec, one, report, records)
        reports.append(report)
    if faults:
        raise DataFaultsError(
            spec.name, faults, 'A subject must be in one part only: see that each file is in its folder'
        )
    return reports


def shuffled_units(units: Sequence[str], share: float, seed: int) -> set[str]:
    """The units that are drawn: those that ``GroupShuffleSplit(test_size=share, random_state=seed)`` takes.

    Args:
        units: names, each once or more often; their order does not matter.
        share: of the units, rounded up.
        seed: of NumPy's legacy generator, whose numbers never change.

    Example:
        >>> sorted(shuffled_units([f'{n:02d}' for n in range(10)], 0.2, 42))
        ['01', '08']
    """
    names = sorted(set(units))
    order = np.random.RandomState(seed).permutation(len(names))
    return {names[place] for place in order[: math.ceil(share * len(names))]}


def _part_of(spec: ClassificationSpec, one: ClassLists, records: Sequence[Record]) -> dict[str, str]:
    places = {record['file_name']: record['places'][one.suffix] for record in records}
    if not isinstance(one.parts, DrawnParts):
        return places
    if one.parts.rule == 'balanced':
        return _balanced(spec, one.parts, one.suffix, records)
    rule = one.parts
    test = shuffled_units(list(places.values()), rule.test, rule.seed)
    rest = [unit for unit in places.values() if unit not in test]
    val = shuffled_units(rest, rule.val, rule.seed)
    return {
        name: 'test' if unit in test else 'val' if unit in val else 'train' for name, unit in places.items()
    }


def _balanced(
    spec: ClassificationSpec, rule: DrawnParts, suffix: str, records: Sequence[Record]
) -> dict[str, str]:
    """Parts of whole units that share no image, each class in each part as far as the units allow it."""
    component_of = _components([(record['places'][suffix], record['sha256']) for record in records])
    units: dict[int, Unit] = {}
    for component, record in zip(component_of, records, strict=True):
        rank = rank_of(rule.seed, spec.name, record['places'][suffix])
        unit = units.setdefault(component, Unit(rank))
        unit.rank = min(unit.rank, rank)
        unit.images[spec.name] += 1
        unit.categories.add((spec.name, spec.classes.index(record['label'])))
    part_of = dict.fromkeys(units, 'train')
    for part, share in (('test', rule.test), ('val', rule.val)):
        left = [component for component in units if part_of[component] == 'train']
        chosen = choose_validation([units[component] for component in left], share)
        part_of.update({component: part for component, is_in in zip(left, chosen, strict=True) if is_in})
    return {
        record['file_name']: part_of[component]
        for component, record in zip(component_of, records, strict=True)
    }


def _components(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """For each pair of unit and content the number of its group: units that share a content, however indirectly."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers: dict[Hashable, int] = {}
    ends = [[numbers.setdefault((side, pair[side]), len(numbers)) for pair in pairs] for side in (0, 1)]
    edges = coo_array((np.ones(len(pairs)), ends), shape=(len(numbers), len(numbers)))
    _, labels = connected_components(edges, directed=False)
    return [int(labels[start]) for start in ends[0]]


def _count(report: PartsReport, records: Sequence[Record]) -> None:
    report.labels = {part: Counter() for part in PARTS}
    subjects: dict[str, set[str]] = {part: set() for part in PARTS}
    contents: dict[str, set[str]] = {part: set() for part in PARTS}
    for record in records:
        part = report.part_of[record['file_name']]
        report.images[part] += 1
        report.labels[part][record['label']] += 1
        subjects[part].add(record['subject'])
        contents[part].add(record['sha256'])
    report.subjects.update({part: len(found) for part, found in subjects.items()})
    for record in records:
        part = report.part_of[record['file_name']]
        before = PARTS[: PARTS.index(part)]
        report.shared[part] += any(record['subject'] in subjects[other] for other in before)
        report.repeated[part] += any(record['sha256'] in contents[other] for other in before)


def _divided(one: ClassLists, report: PartsReport, records: Sequence[Record]) -> list[Fault]:
    """Subjects in several parts."""
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        parts[record['subject']].add(report.part_of[record['file_name']])
    return [
        Fault(f'subject {subject}', f'in {" and ".join(sorted(found))} of {one.file_name("train")}')
        for subject, found in sorted(parts.items())
        if len(found) > 1
    ]


def _warnings(
    spec: ClassificationSpec, one: ClassLists, report: PartsReport, records: Sequence[Record]
) -> list[str]:
    warnings = []
    for part in PARTS:
        absent = [name for name in spec.classes if not report.labels[part][name]]
        if absent:
            warnings.append(f'{one.file_name(part)}: no image of {", ".join(absent)}')
    for part in PARTS[1:]:
        found = report.shared[part] if spec.subject is not None else 0
        if found:
            warnings.append(
                f'{one.file_name(part)}: {found:,} of {report.images[part]:,} images are of subjects that other '
                f'parts have, too: {one.leak}'
            )
        if report.repeated[part]:
            warnings.append(
                f'{one.file_name(part)}: {report.repeated[part]:,} of {report.images[part]:,} images are in '
                'other parts, too, byte by byte'
            )
    wanted = one.parts.units if isinstance(one.parts, DrawnParts) else None
    units = len({record['places'][one.suffix] for record in records})
    if wanted is not None and units != wanted:
        warnings.append(
            f'{one.file_name("test")}: drawn from {units:,} files where the published one is drawn from {wanted:,}: '
            'its numbers do not compare with published ones'
        )
    return warnings


def _plain(counts: Mapping[str, int], parts: Sequence[str] = PARTS) -> dict[str, int]:
    return {part: int(counts.get(part, 0)) for part in parts}
