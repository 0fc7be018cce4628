"""The manifest of a converted data set: what it is, what was counted, and the SHA-256 of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasam.corpus.classification.files import TABLE, check_class_files
from ultrasam.corpus.coco import check_coco
from ultrasam.corpus.errors import IntegrityError
from ultrasam.corpus.facts import KEY, DatasetFacts
from ultrasam.corpus.spec import Choices, DatasetSpec
from ultrasam.hashing import file_sha256

MANIFEST = 'manifest.json'
_OF_THE_CORPUS = re.compile(
    r'annotations/((train|val|test)\.(agnostic\.)?[^/]*__coco\.json'
    r'|(train|val_classification|test_classification)\.txt)'
)


@dataclass
class Counts:
    """What a conversion counted.

    Args:
        images: of each part.
        annotations: of each part.
        subjects: of all parts.
        categories: annotations of each category.
        labels: images of each image-level class.
        left_out: files and frames that are not used, by reason.
        dropped: instances that were dropped, by reason.
        stray: mask pixels with values that no rule names, by value.
        changed: masks that were changed to fit, by what was done.
        unused: files of the source that the description does not mention.
        known_faults: images of the release that are known to be unusable, by reason.
        unusable: files that cannot be used and were left out, as the user asked.
    """

    images: Counter[str] = field(default_factory=Counter)
    annotations: Counter[str] = field(default_factory=Counter)
    subjects: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    stray: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    unused: int = 0
    known_faults: Counter[str] = field(default_factory=Counter)
    unusable: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; keys in order."""
        return {
            name: dict(sorted(value.items())) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
        }


def count_records(spec: DatasetSpec, records: Sequence[Mapping[str, Any]]) -> Counts:
    """Count frames, objects and what was dropped."""
    counts = Counts(subjects=len({record['subject'] for record in records}))
    names = [category.name for category in spec.categories]
    for record in records:
        part = 'test' if record['part'] == 'test' else 'main'
        counts.images[part] += 1
        counts.annotations[part] += len(record['objects'])
        counts.categories.update(names[found['category_id'] - 1] for found in record['objects'])
        counts.dropped.update(record['dropped'])
        counts.stray.update(record['stray'])
        counts.changed.update(record['changed'])
        if record['label']:
            counts.labels[record['label']] += 1
    return counts


def build_manifest(
    spec: DatasetSpec,
    counts: Counts,
    sources: Mapping[str, str],
    *,
    choices: Choices,
) -> dict[str, Any]:
    """The content of the manifest, but for the files.

    Args:
        spec: the description.
        counts: of the conversion.
        sources: SHA-256 of every source file that was read, by name.
        choices: what the user chose.
    """
    listing = ''.join(f'{digest}  {name}\n' for name, digest in sorted(sources.items()))
    return {
        'dataset': spec.name,
        'title': spec.title,
        'homepage': spec.homepage,
        'licence': spec.licence or 'not stated',
        'citation': spec.citation,
        'as_published': choices.published,
        'crumbs_kept': choices.published or choices.keep_crumbs,
        'subject_known': spec.subject is not None,
        KEY: DatasetFacts.of_spec(spec).as_dict(),
        'counts': counts.as_dict(),
        'sources': {'files': len(sources), 'sha256': hashlib.sha256(listing.encode()).hexdigest()},
    }


def verify_dataset(folder: Path) -> dict[str, Any]:
    """See that a converted data set is what its manifest says.

    Args:
        folder: of the data set.

    Returns:
        The manifest.

    Raises:
        IntegrityError: a file is missing, changed or too many, or annotations and images do not agree.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding='utf-8'))
        listed: dict[str, str] = manifest['files']
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError(
            f'{folder / MANIFEST}: missing or damaged ({error}). Convert it again'
        ) from error
    there = {path.relative_to(folder).as_posix() for path in folder.rglob('*') if not path.is_dir()} - {
        MANIFEST
    }
    # what splitting and merging write beside the files of a conversion
    there -= {name for name in there - set(listed) if _OF_THE_CORPUS.fullmatch(name)}
    if there != set(listed):
        odd = sorted(there ^ set(listed))
        raise IntegrityError(f'{folder}: {len(odd)} files are missing or too many, first {odd[0]}')
    for name, digest in listed.items():
        path = folder / name
        if path.is_symlink() or file_sha256(path) != digest:
            raise IntegrityError(f'{path}: its content changed. Convert the data set again with --overwrite')
    found: Counter[str] = Counter()
    for name in sorted(listed):
        if name.startswith('annotations/') and name.endswith('__coco.json'):
            found.update(check_coco(folder / name, folder / 'images'))
    if TABLE in listed:
        found['images'] += check_class_files(folder, manifest)
    counts = manifest['counts']
    for kind in ('images', 'annotations'):
        if found[kind] != sum(counts[kind].values()):
            raise IntegrityError(
                f'{folder}: {found[kind]} {kind}, {sum(counts[kind].values())} in the manifest'
            )
    return manifest
