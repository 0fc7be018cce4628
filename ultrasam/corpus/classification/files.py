"""Files of a converted set of classified images: the table of its images, lists for classifiers, a page of facts."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ultrasam.corpus.classification.spec import PARTS, ClassificationSpec
from ultrasam.corpus.errors import IntegrityError
from ultrasam.markdown import markdown_table

if TYPE_CHECKING:
    from ultrasam.corpus.classification.parts import PartsReport

TABLE = 'annotations/images.csv'
NAMES = 'annotations/classes.txt'
_COLUMNS = ('file_name', 'class', 'index', 'subject', 'source_file', 'frame')


@dataclass(frozen=True)
class Content:
    """What a data set holds beside its images.

    Args:
        files: text of each file, by its path in the data set.
        facts: what the manifest says beyond what it says of every data set.
        warnings: what a user should look at.
    """

    files: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def _class_files(
    spec: ClassificationSpec, records: Sequence[dict[str, Any]], reports: Sequence[PartsReport]
) -> dict[str, str]:
    """Text of each file beside the images, by its path in the data set.

    Args:
        spec: the description.
        records: of all frames, with file names.
        reports: of each split, in the order of the description.
    """
    files = {
        TABLE: _table(spec, records, reports),
        NAMES: ''.join(f'{name}\n' for name in spec.classes),
        'README.md': _facts_page(spec, reports),
    }
    for one, report in zip(spec.lists, reports, strict=True):
        for part in PARTS:
            lines = [
                f'images/{record["file_name"]} {spec.classes.index(record["label"])}\n'
                for record in records
                if report.part_of[record['file_name']] == part
            ]
            if lines:
                files[f'annotations/{one.file_name(part)}'] = ''.join(lines)
    return files


def class_content(spec: ClassificationSpec, records: Sequence[dict[str, Any]]) -> Content:
    """Files and facts of a set of classified images, and what its user should look at.

    Raises:
        DataFaultsError: a subject is in several parts of a split that is described to keep them apart.
    """
    # numpy is not loaded by those who only check
    from ultrasam.corpus.classification.parts import choose_parts

    reports = choose_parts(spec, records)
    facts: dict[str, Any] = {'classes': list(spec.classes), 'lists': _lists_of_manifest(spec, reports)}
    if spec.terms:
        facts['terms_accepted'] = spec.terms
    warnings = [text for report in reports for text in report.warnings]
    return Content(_class_files(spec, records, reports), facts, warnings)


def check_class_files(folder: Path, manifest: dict[str, Any]) -> int:
    """See that table, lists and images of a converted set agree.

    Args:
        folder: of the data set.
        manifest: of it.

    Returns:
        Number of images.

    Raises:
        IntegrityError: they do not, or a subject is in several parts of a split that keeps them apart.
    """
    try:
        with (folder / TABLE).open(encoding='utf-8', newline='') as file:
            rows = list(csv.DictReader(file))
        names = (folder / NAMES).read_text(encoding='utf-8').splitlines()
        if names != manifest['classes'] or any(names[int(row['index'])] != row['class'] for row in rows):
            raise IntegrityError(f'{folder / NAMES}: not the classes of {TABLE}. Convert the data set again')
        for suffix, facts in manifest['lists'].items():
            _check_lists(folder, suffix, rows, facts)
        listed = [row['file_name'] for row in rows]
    except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error) as error:
        raise IntegrityError(f'{folder / TABLE}: damaged ({error!r}). Convert the data set again') from error
    images = {path.name for path in (folder / 'images').iterdir()}
    if images != set(listed) or len(listed) != len(images):
        odd = sorted(images ^ set(listed)) or sorted(listed)
        raise IntegrityError(f'{folder / TABLE}: does not list each image once, first {odd[0]}')
    return len(rows)


def _check_lists(folder: Path, suffix: str, rows: list[dict[str, str]], facts: dict[str, Any]) -> None:
    subjects: defaultdict[str, set[str]] = defaultdict(set)
    found: Counter[str] = Counter()
    for part in PARTS:
        mine = [row for row in rows if row[f'part{suffix}'] == part]
        text = ''.join(f'images/{row["file_name"]} {row["index"]}\n' for row in mine)
        path = folder / 'annotations' / facts['files'][part]
        if (path.read_text(encoding='utf-8') if path.is_file() else '') != text:
            raise IntegrityError(
                f'{path}: not what {TABLE} says. Convert the data set again with --overwrite'
            )
        found[part] = len(mine)
        for row in mine:
            subjects[row['subject']].add(part)
    if sum(found.values()) != len(rows) or dict(found) != facts['images']:
        raise IntegrityError(f'{folder / TABLE}: {dict(found)} images, {facts["images"]} in the manifest')
    divided = sorted(subject for subject, parts in subjects.items() if len(parts) > 1)
    if divided and not facts['leak']:
        raise IntegrityError(f'{folder / TABLE}: subject {divided[0]} is in several parts')


def _table(
    spec: ClassificationSpec, records: Sequence[dict[str, Any]], reports: Sequence[PartsReport]
) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow([*_COLUMNS, *(f'part{report.suffix}' for report in reports), *spec.noted])
    for record in records:
        name = record['file_name']
        frame = '' if record['index'] is None else record['index']
        facts = [name, record['label'], spec.classes.index(record['label'])]
        facts += [record['subject'], record['source'], frame]
        parts = [report.part_of[name] for report in reports]
        writer.writerow([*facts, *parts, *(record['noted'][key] for key in spec.noted)])
    return stream.getvalue()


def _lists_of_manifest(spec: ClassificationSpec, reports: Sequence[PartsReport]) -> dict[str, Any]:
    """What the manifest says of each split, by the suffix of its files."""
    return {
        one.suffix: {
            'files': {part: one.file_name(part) for part in PARTS},
            'origin': one.origin,
            'leak': one.leak,
            **report.as_dict(),
        }
        for one, report in zip(spec.lists, reports, strict=True)
    }


def _facts_page(spec: ClassificationSpec, reports: Sequence[PartsReport]) -> str:
    """A page of facts of a converted set.

    Returns:
        Markdown.
    """
    lines = [f'# {spec.title}', '', f'From <{spec.homepage}>. {spec.licence_note}.']
    if spec.terms:
        lines += ['', f'Terms ({spec.terms_link}): {spec.terms}']
    lines += ['', f'Cite: {spec.citation}.', '', '## Lists', '']
    rows = []
    for one, report in zip(spec.lists, reports, strict=True):
        for part in PARTS:
            subjects = f'{report.subjects[part]:,}' if spec.subject is not None else 'not known'
            counts = [f'{report.labels[part][name]:,}' for name in spec.classes]
            rows.append([f'`{one.file_name(part)}`', f'{report.images[part]:,}', subjects, *counts])
    lines.append(markdown_table(['list', 'images', 'subjects', *spec.classes], rows))
    lines += [
        '',
        'The index of a class in the lists is its place in this table, from 0.',
        '',
        '## Splits',
        '',
    ]
    for one, report in zip(spec.lists, reports, strict=True):
        lines.append(
            f'- `{one.file_name("train")}` and its companions: {one.origin}. {_leak(spec, one, report)}'
        )
    lines += ['', *(f'- {note}' for note in spec.notes)]
    return '\n'.join(lines).rstrip() + '\n'


def _leak(spec: ClassificationSpec, one: Any, report: PartsReport) -> str:
    """A plain statement on subjects in several parts of a split."""
    if spec.subject is None:
        return 'Subjects are not known: whether one is in several parts cannot be told.'
    shares = ', '.join(
        f'{report.shared[part]:,} of {report.images[part]:,} images of {part}' for part in PARTS[1:]
    )
    if not one.leak:
        return 'No subject is in two parts.'
    return f'It leaks: {shares} are of subjects that an earlier part has, too ({one.leak}).'
