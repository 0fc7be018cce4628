"""Training files without any image that a public benchmark tests with.

Numbers on BUSI, TN3K or AUL mean little for a model that was trained on their test images. Where a benchmark has an
official test part, or a list of its test images is given, those images leave, and with them whatever shows the same
subject or is the same image in another data set. Where it has neither, any image may be someone's test image, and the
whole data set leaves. Copies that were encoded or scaled anew are not found here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ultrasam.coco.files import publish_coco, read_coco, stream_records
from ultrasam.corpus.layout import Corpus, DatasetFolder, Track, check_part, open_corpus, untracked
from ultrasam.corpus.merge import merged_path
from ultrasam.corpus.subjects import subject_of
from ultrasam.errors import AnnotationError, ConfigError, InputError

_NO_LIST = 'any of its images may be tested with: it has no official test part, and no list was given'


@dataclass
class CleanPool:
    """What a clean file holds.

    Args:
        path: of the file.
        part: ``'train'`` or ``'val'``.
        images: in it.
        annotations: in it.
        left_out: data sets that left as a whole, each with the reason.
        dropped: by data set, how many other images left for which reason.
    """

    path: Path
    part: str
    images: int = 0
    annotations: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)


@dataclass
class _Tested:
    """What no image of a clean pool may be or show."""

    releases: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    names: set[tuple[str, str]] = field(default_factory=set)
    subjects: set[tuple[str, str]] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)

    def reason(self, dataset: str, image: Mapping[str, Any], digest: str | None) -> str:
        """Why an image must leave; empty if it may stay."""
        if dataset in self.datasets:
            return 'data set left out'
        if (dataset, image['file_name']) in self.names:
            return 'tested'
        if (self.releases.get(dataset, dataset), subject_of(image)) in self.subjects:
            return 'subject tested'
        return 'same image as a tested one' if digest in self.digests else ''


def clean_path(root: Path, part: str) -> Path:
    """Where the configs look for the clean file of a part."""
    return root / f'{part}.clean.agnostic.noSmall.coco.json'


def write_clean_pool(
    root: Path,
    part: str = 'train',
    *,
    lists: Path | None = None,
    overwrite: bool = False,
    track: Track = untracked,
) -> CleanPool:
    """Write the merged file of a part without what public benchmarks test with.

    Args:
        root: folder of all data sets, with the merged file of the part.
        part: ``'train'``, or ``'val'``, by which checkpoints are chosen.
        lists: folder of lists of test images ``NAME.json``, see :func:`read_test_list`.
        overwrite: replace a file of other content.
        track: shows progress.

    Returns:
        What was written; the file's ``info`` says the same.

    Raises:
        AnnotationError: a COCO file or a list that cannot be used.
        ConfigError: there is no such folder of lists, or none of its files is of a data set here.
        InputError: the merged file is not there, or nothing would be left of it.
        OutputError: the file is there already with other content, or cannot be written.
    """
    check_part(part)
    corpus, source = open_corpus(root), merged_path(root, part)
    if not source.is_file():
        raise InputError(f'{source}: not there: run build_corpus.py first')
    tested = _gather(corpus, lists, track)
    pool = CleanPool(clean_path(root, part), part, left_out=tested.datasets)
    kept, head = _choose(corpus, source, tested, pool)
    if not kept:
        raise InputError(f'{source}: nothing of it is left without the public tests: convert more data sets')
    head['info'] = {**head.get('info', {}), 'clean_pool': _record(pool, source)}
    with publish_coco(pool.path, head, overwrite=overwrite) as writer:
        for section, record in stream_records(source):
            if section == 'images' and record['id'] in kept:
                writer.add_image(record)
            elif section == 'annotations' and record.get('image_id') in kept:
                writer.add_annotation(record)
    pool.images, pool.annotations = writer.images, writer.annotations
    return pool


def _gather(corpus: Corpus, lists: Path | None, track: Track) -> _Tested:
    """Test images of every data set, whether its benchmark is known to us or not."""
    given = _list_files(corpus, lists)
    tested = _Tested()
    for folder in track(corpus.datasets, 'test images'):
        digest_of = folder.image_digests()
        facts = folder.facts()
        tested.releases[folder.name] = facts.release
        images: list[dict[str, Any]] = []
        if folder.coco_path('test').is_file():
            images += read_coco(folder.coco_path('test'), allow_empty=True).images
        if folder.name in given:
            images += read_test_list(given[folder.name], folder)
        if not images and facts.public_test:
            tested.datasets[folder.name] = _NO_LIST
            images = read_coco(folder.coco_path()).images
        for image in images:
            tested.names.add((folder.name, image['file_name']))
            tested.subjects.add((facts.release, subject_of(image)))
        tested.digests |= {digest_of[i['file_name']] for i in images if i['file_name'] in digest_of}
    return tested


def _list_files(corpus: Corpus, lists: Path | None) -> dict[str, Path]:
    """Lists that were given, by data set."""
    if lists is None:
        return {}
    if not lists.is_dir():
        raise ConfigError(f'{lists}: no such folder: give the one that holds lists of test images NAME.json')
    names = [folder.name for folder in corpus.datasets]
    found = {name: lists / f'{name}.json' for name in names if (lists / f'{name}.json').is_file()}
    if not found:
        raise ConfigError(
            f'{lists}: no list for any data set here; they are called NAME.json, as {names[0]}.json'
        )
    return found


def read_test_list(path: Path, folder: DatasetFolder) -> list[dict[str, Any]]:
    """Images of a data set that a list names.

    Args:
        path: JSON: a list, or ``{"test": [...]}``, of texts or of records with an ``image``. A text is the subject,
            the source file or the file name of an image; where that is unknown, its stem is tried.
        folder: the data set.

    Raises:
        AnnotationError: the list is damaged or empty, or names an image that is not in the data set or cannot be
            told from another.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
        entries = content['test'] if isinstance(content, dict) else content
        wanted = [str(entry['image'] if isinstance(entry, dict) else entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnnotationError(
            f'{path} is damaged ({type(error).__name__}: {error}): it must be a list of texts, or of records with '
            'an image'
        ) from error
    if not wanted:
        raise AnnotationError(f'{path} is empty: remove it, or name the test images')
    images = read_coco(folder.coco_path()).images
    exact, by_stem = _lookups(images)
    found: set[int] = set()
    unknown = []
    for entry in wanted:
        places = exact.get(entry) or by_stem.get(PurePosixPath(entry).stem) or set()
        found |= places
        if not places:
            unknown.append(entry)
    if unknown:
        raise AnnotationError(
            f'{path}: {len(unknown)} of {len(wanted)} entries name no image of {folder.name}, or several, first '
            f'{unknown[0]!r}: is it of this data set?'
        )
    return [images[place] for place in sorted(found)]


def _lookups(images: list[dict[str, Any]]) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
    """Places of images by subject, source file and name, and by subject and stem of the source file."""
    exact: dict[str, set[int]] = {}
    by_stem: dict[str, set[int]] = {}
    sources: dict[str, set[str]] = {}
    for place, image in enumerate(images):
        source = str(image.get('source_file') or image['file_name'])
        for key in {subject_of(image), source, image['file_name']}:
            exact.setdefault(key, set()).add(place)
        stem = PurePosixPath(source).stem
        sources.setdefault(stem, set()).add(source)
        by_stem.setdefault(stem, set()).add(place)
    unique = {stem: places for stem, places in by_stem.items() if len(sources[stem]) == 1}
    subjects = {subject_of(image) for image in images}
    return exact, {**unique, **{subject: exact[subject] for subject in subjects}}


def _choose(
    corpus: Corpus, source: Path, tested: _Tested, pool: CleanPool
) -> tuple[set[int], dict[str, Any]]:
    """Ids of the images that stay, and the head of the merged file."""
    digests = {folder.name: folder.image_digests() for folder in corpus.datasets}
    kept: set[int] = set()
    head: dict[str, Any] = {}
    for section, record in stream_records(source):
        if section == 'head':
            head.update(record)
        if section != 'images':
            continue
        dataset = str(record.get('dataset'))
        prefix = f'{dataset}/images/'
        if dataset not in digests or not str(record['file_name']).startswith(prefix):
            raise AnnotationError(
                f'{source}: {record["file_name"]} is of no data set here: run build_corpus.py --overwrite'
            )
        image = {**record, 'file_name': record['file_name'].removeprefix(prefix)}
        reason = tested.reason(dataset, image, digests[dataset].get(image['file_name']))
        if not reason:
            kept.add(record['id'])
        elif dataset not in tested.datasets:
            pool.dropped.setdefault(dataset, Counter())[reason] += 1
    return kept, head


def _record(pool: CleanPool, source: Path) -> dict[str, Any]:
    """For the ``info`` of the file."""
    return {
        'of': source.name,
        'left_out': pool.left_out,
        'dropped': {name: dict(sorted(counts.items())) for name, counts in sorted(pool.dropped.items())},
    }
