"""Training and validation parts of each data set, by subject; official test parts stay as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasam.atomic import publish_json
from ultrasam.coco.files import CocoContent, publish_coco, read_coco
from ultrasam.corpus.classification.corpus_lists import write_class_lists
from ultrasam.corpus.layout import Corpus, Track, open_corpus, untracked
from ultrasam.corpus.near_duplicates.exclusion import read_excluded
from ultrasam.corpus.partition import Unit, choose_validation, rank_of
from ultrasam.corpus.subjects import SubjectFacts, gather_subjects, subject_of
from ultrasam.errors import AnnotationError, ConfigError, OutputError

Key = tuple[str, str]
"""Release and subject."""


@dataclass(frozen=True)
class SplitOptions:
    """How to split.

    Args:
        train_percent: share of the images that train, of those outside official test parts; between 0 and 1.
        seed: another one gives another split.
        given: folder of split files ``NAME.json``, which decide for the data sets they name.
        drop_tested: leave out subjects that are in an official test part too, or share an image with one.
        written: folder to write such files to, so that a split can be kept and given again.
        overwrite: replace parts that are there with other content.
    """

    train_percent: float = 0.95
    seed: int = 0
    given: Path | None = None
    drop_tested: bool = False
    written: Path | None = None
    overwrite: bool = False


STANDARD_SPLIT = SplitOptions()


@dataclass
class DatasetSplit:
    """What became of one data set.

    Args:
        dataset: its name.
        unit: ``'subject'``; ``'source file'`` where no subject is known (an image, or the frames of a video).
        images: of each part.
        subjects: of each part.
        one_sided: categories, and classes of whole images, that are not in both parts, since their units are too few.
        classes: images of each class in the list of each part that has one.
        no_classes: why there are no such lists although images have labels.
        two_classes: pairs of images that are the same and of different classes.
        also_tested: images whose subject is in an official test part too, or shares an image with one.
        dropped: how many of these are in no part, as asked.
        excluded: images in no part since ``excluded_images.json`` lists them.
        given: whether a split file decided.
        notes: what was mended while its files were read.
    """

    dataset: str
    unit: str
    images: Counter[str] = field(default_factory=Counter)
    subjects: Counter[str] = field(default_factory=Counter)
    one_sided: list[str] = field(default_factory=list)
    classes: dict[str, Counter[str]] = field(default_factory=dict)
    no_classes: str = ''
    two_classes: list[str] = field(default_factory=list)
    also_tested: int = 0
    dropped: int = 0
    excluded: int = 0
    given: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Given:
    """A split file: the part of the subjects it names, and whether it must name all."""

    part_of: Mapping[str, str]
    is_complete: bool

    def part(self, subject: str, one: SubjectFacts) -> str:
        if subject not in self.part_of and self.is_complete:
            raise AnnotationError(
                f'the split file of {one.folder.name} does not name the subject {subject!r}: name all of them, or '
                'only those of val, so that the rest trains'
            )
        return self.part_of.get(subject, 'train')


def split_corpus(
    root: Path, options: SplitOptions = STANDARD_SPLIT, *, track: Track = untracked
) -> tuple[Corpus, list[DatasetSplit]]:
    """Write ``train.NAME__coco.json`` and ``val.NAME__coco.json`` for each data set of a root.

    Where images have classes, lists for classifiers follow the same parts: ``train.txt``, ``val_classification.txt``
    and, of the official test part, ``test_classification.txt``.

    Subjects are never parted, nor are subjects that share an image, in whichever data set. A part without images
    is not written; the result tells. Images that ``ROOT/excluded_images.json`` lists are in neither part.

    Args:
        root: folder of all data sets.
        options: how.
        track: shows progress.

    Returns:
        What the root holds, and what became of each data set, by name.

    Raises:
        AnnotationError: an annotation or split file, or the list of excluded images, that cannot be used.
        ConfigError: options that make no sense.
        InputError: there is no data set.
        OutputError: a part is there already with other content, or cannot be written.
    """
    if not 0 < options.train_percent < 1:
        raise ConfigError(
            f'train_percent={options.train_percent}: give a share between 0 and 1, such as 0.95'
        )
    corpus = open_corpus(root)
    excluded = read_excluded(root)
    facts = [gather_subjects(folder) for folder in track(corpus.datasets, 'read')]
    _mark_tested(facts)
    given = _read_given(facts, options)
    part_of = _choose(facts, given, options)
    if options.written is not None:
        _write_given(facts, part_of, options.written, options)
    splits = [
        _write_parts(
            one,
            part_of,
            options,
            given=one.folder.name in given,
            excluded=excluded.get(one.folder.name, {}),
        )
        for one in track(facts, 'split')
    ]
    return corpus, splits


class _Joined:
    """Sets of keys that grow together (union-find)."""

    def __init__(self) -> None:
        self._above: dict[Any, Any] = {}

    def root(self, key: Any) -> Any:
        above = self._above
        top = key
        while above.setdefault(top, top) != top:
            top = above[top]
        while above[key] != top:
            above[key], key = top, above[key]
        return top

    def join(self, one: Any, other: Any) -> None:
        self._above[self.root(one)] = self.root(other)


def _choose(facts: list[SubjectFacts], given: Mapping[str, _Given], options: SplitOptions) -> dict[Key, str]:
    """The part of each subject: ``'train'``, ``'val'``, or empty for one that is dropped."""
    joined = _Joined()
    for one in facts:
        for subject in one.images:
            joined.root((one.release, subject))
            for digest in one.digests.get(subject, ()):
                joined.join((one.release, subject), digest)
    units: dict[Any, Unit] = {}
    for one in facts:
        for subject, count in one.images.items():
            if options.drop_tested and subject in one.tested:
                continue
            top = joined.root((one.release, subject))
            part = given[one.folder.name].part(subject, one) if one.folder.name in given else ''
            rank = rank_of(options.seed, one.release, subject)
            unit = units.setdefault(top, Unit(rank))
            unit.rank = min(unit.rank, rank)
            unit.images[one.folder.name] += count
            unit.categories |= {(one.folder.name, category) for category in one.categories[subject]}
            if part and unit.fixed and unit.fixed != part:
                raise AnnotationError(
                    f'the split files part {one.folder.name} {subject!r} ({part}) from a subject of {unit.fixed} '
                    'that shares an image or a patient with it: give both the same part'
                )
            unit.fixed = unit.fixed or part
    tops = list(units)
    chosen = choose_validation([units[top] for top in tops], 1 - options.train_percent)
    part_of_top = {top: 'val' if is_val else 'train' for top, is_val in zip(tops, chosen, strict=True)}
    part_of = {}
    for one in facts:
        for subject in one.images:
            key = (one.release, subject)
            dropped = options.drop_tested and subject in one.tested
            part_of[key] = '' if dropped else part_of_top[joined.root(key)]
    return part_of


def _mark_tested(facts: Sequence[SubjectFacts]) -> None:
    """Note the subjects that are in an official test split, or one of whose images is, in whichever dataset."""
    digests = {digest for one in facts for found in one.test_digests.values() for digest in found}
    subjects = {(one.release, subject) for one in facts for subject in one.test_subjects}
    # datasets of one release share their subjects: what one of them tells holds for all
    subjects |= {
        (one.release, subject)
        for one in facts
        for subject in one.images
        if not digests.isdisjoint(one.digests.get(subject, ()))
    }
    for one in facts:
        one.tested = {subject for subject in one.images if (one.release, subject) in subjects}


def _read_given(facts: Iterable[SubjectFacts], options: SplitOptions) -> dict[str, _Given]:
    """What split files say, by data set."""
    if options.given is None:
        return {}
    if not options.given.is_dir():
        raise ConfigError(f'{options.given}: no such folder: give the one that holds split files NAME.json')
    given = {}
    for one in facts:
        path = options.given / f'{one.folder.name}.json'
        if path.is_file():
            given[one.folder.name] = _read_split_file(path, one)
    if not given:
        raise ConfigError(
            f'{options.given}: no split file for any data set here. They are called NAME.json, such as '
            f'{next(iter(facts)).folder.name}.json'
        )
    return given


def _read_split_file(path: Path, one: SubjectFacts) -> _Given:
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
        listed = {part: _subjects(content.get(part, [])) for part in ('train', 'val')}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise AnnotationError(
            f'{path} is damaged ({error}): it must be {{"train": [...], "val": [...]}} with lists of subjects'
        ) from error
    if not any(listed.values()):
        raise AnnotationError(f'{path} names no subject of train or val')
    part_of = {subject: part for part, subjects in listed.items() for subject in subjects}
    double = sorted(set(listed['train']) & set(listed['val']))
    unknown = sorted(set(part_of) - set(one.images))
    if double or unknown:
        fault = f'names {len(double)} subjects in both parts' if double else 'names subjects that are unknown'
        raise AnnotationError(f'{path} {fault}, first {(double or unknown)[0]!r}: is it of this data set?')
    return _Given(part_of, is_complete=bool(listed['train']))


def _subjects(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f'{value!r} is no list')
    return [str(subject) for subject in value]


def _write_given(
    facts: list[SubjectFacts], part_of: Mapping[Key, str], folder: Path, options: SplitOptions
) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'{folder}: cannot be made ({error.strerror}): name another folder') from error
    for one in facts:
        parts: dict[str, list[str]] = {'train': [], 'val': []}
        for subject in sorted(one.images):
            part = part_of[one.release, subject]
            if part:
                parts[part].append(subject)
        value = {'dataset': one.folder.name, 'unit': one.unit, 'seed': options.seed, **parts}
        publish_json(folder / f'{one.folder.name}.json', value, overwrite=options.overwrite)


def _write_parts(
    one: SubjectFacts,
    part_of: Mapping[Key, str],
    options: SplitOptions,
    *,
    given: bool,
    excluded: Container[str],
) -> DatasetSplit:
    content = read_coco(one.folder.coco_path(), allow_empty=True)
    part_by_id = {image['id']: part_of[one.release, subject_of(image)] for image in content.images}
    split = DatasetSplit(one.folder.name, one.unit, given=given, notes=one.notes)
    split.dropped = sum(not part for part in part_by_id.values())
    for image in content.images:
        if image['file_name'] in excluded and part_by_id[image['id']]:
            part_by_id[image['id']] = ''
            split.excluded += 1
    split.images.update(part for part in part_by_id.values() if part)
    split.also_tested = sum(one.images[subject] for subject in one.tested)
    split.subjects.update(part for s in one.images if (part := part_of[one.release, s]))
    split.images['test'] = one.test_subjects.total()
    split.subjects['test'] = len(one.test_subjects)
    found: dict[str, set[int]] = {'train': set(), 'val': set(), '': set()}
    for annotation in content.annotations:
        found[part_by_id[annotation['image_id']]].add(annotation['category_id'])
    split.one_sided = [one.names[id_] for id_ in sorted(found['train'] ^ found['val'])]
    for part in ('train', 'val'):
        target = one.folder.coco_path(part)
        if split.images[part]:
            made = {
                'part': part,
                'by': one.unit,
                'train_percent': options.train_percent,
                'seed': options.seed,
                'given': given,
            }
            ids = {id_ for id_, of in part_by_id.items() if of == part}
            _write_part(content, target, ids, made, options)
        elif target.exists():
            _remove_stale(target, options)
    _write_classes(one, content, part_by_id, split, options)
    return split


def _write_classes(
    one: SubjectFacts,
    content: CocoContent,
    part_by_id: Mapping[int, str],
    split: DatasetSplit,
    options: SplitOptions,
) -> None:
    """Write the lists for classifiers, and note what is in them."""
    split.no_classes, split.two_classes = one.no_classes, one.two_classes
    if one.classes is None:
        return
    images: dict[str, list[str]] = {'train': [], 'val': [], 'test': list(one.classes.test)}
    for image in content.images:
        if part := part_by_id[image['id']]:
            images[part].append(image['file_name'])
    split.classes, split.no_classes = write_class_lists(
        one.folder, one.classes, images, overwrite=options.overwrite
    )
    found = {part: set(split.classes.get(part, ())) for part in ('train', 'val')}
    odd = found['train'] ^ found['val']
    split.one_sided += [name for name in one.classes.names if name in odd - set(split.one_sided)]


def _write_part(
    content: CocoContent,
    target: Path,
    ids: set[int],
    made: Mapping[str, Any],
    options: SplitOptions,
) -> None:
    head = {
        'info': {**content.info, 'split': dict(made)},
        'licenses': content.licenses,
        'categories': content.categories,
    }
    with publish_coco(target, head, overwrite=options.overwrite) as writer:
        for image in content.images:
            if image['id'] in ids:
                writer.add_image(image)
        for annotation in content.annotations:
            if annotation['image_id'] in ids:
                writer.add_annotation(annotation)


def _remove_stale(target: Path, options: SplitOptions) -> None:
    """A part of an earlier split that this one does not have would be merged with the rest."""
    if not options.overwrite:
        raise OutputError(f'{target} is of another split, in which this part has images: use --overwrite')
    target.unlink()
