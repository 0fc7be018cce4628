"""COCO files of any origin read strictly, and written as a stream: one record a line, same content, same bytes."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ultrasam.atomic import publish_file
from ultrasam.coco.file_names import UnsafeNameError, unsafe_name_fault
from ultrasam.coco.record_checks import (
    category_fault,
    complete,
    image_fault,
    is_complete,
    is_id,
    mask_fault,
    reference_fault,
    with_whole_ids,
)
from ultrasam.errors import AnnotationError, OutputError
from ultrasam.io.writers.coco_stream import CocoWriter

_SECTIONS = ('categories', 'images', 'annotations')
_RECORDS = ('images', 'annotations')
_NOTHING = ('"images": []', '"annotations": []')
_LARGEST_ID = (1 << 63) - 1
_CHUNK = 1 << 20
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass
class CocoContent:
    """A COCO file that passed the checks.

    Args:
        path: of the file.
        info: as it stands in the file.
        licenses: as they stand in the file.
        categories: ids and names are unique.
        images: ids and file names are unique, names stay in their folder, sizes are positive integers.
        annotations: ids are positive and unique, images and categories exist, areas and boxes are numbers; those
            that the file lacks are computed.
        notes: what was mended while it was read.
    """

    path: Path
    info: dict[str, Any]
    licenses: list[Any]
    categories: list[dict[str, Any]]
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)


def read_coco(path: Path, *, allow_empty: bool = False) -> CocoContent:
    """Read a COCO file; ids that are texts, too large, missing or (of annotations) not unique are numbered anew.

    Args:
        path: the file.
        allow_empty: accept a file without images.

    Returns:
        Its content; ``notes`` says what was numbered anew.

    Raises:
        AnnotationError: the file is missing, damaged or empty, or its records contradict each other.
        UnsafeNameError: its file names lead out of the folder of its images.
    """
    content = _parse(path)
    for section in _SECTIONS:
        records = content.get(section)
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise AnnotationError(f'{path} has no list of records {section!r}: export it as COCO instances')
    if not content['images'] and not allow_empty:
        raise AnnotationError(f'{path} has no images: convert or export it again')
    info = content.get('info')
    licenses = content.get('licenses')
    result = CocoContent(
        path=path,
        info=info if isinstance(info, dict) else {},
        licenses=licenses if isinstance(licenses, list) else [],
        **{section: content[section] for section in _SECTIONS},
    )
    for section in _SECTIONS:
        for record in content[section]:
            with_whole_ids(record)
    _check_categories(result)
    _check_images(result)
    _number_anew(result, 'categories', 'category_id', first=1)
    _number_anew(result, 'images', 'image_id', first=0)
    _check_annotations(result)
    return result


def stream_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records of a file that :class:`CocoWriter` wrote, one at a time: for files that are too large for memory.

    Args:
        path: the file.

    Yields:
        ``'images'`` or ``'annotations'``, and the record, in the order of the file. The other entries of the file
        (info, licenses, categories) come first, each as ``'head'`` with a dictionary of one key.

    Raises:
        AnnotationError: it is damaged, or not of this form.
    """
    section = ''
    is_whole = False
    try:
        with path.open(encoding='utf-8') as file:
            for line in file:
                text = line.strip().removesuffix(',')
                if section and text.startswith('{'):
                    yield section, json.loads(text, parse_constant=_refuse_constant)
                elif text in (']', ''):
                    section = ''
                elif not section and text.startswith('"'):
                    section = next((name for name in _RECORDS if text == f'"{name}": ['), '')
                    if not section and text not in _NOTHING:
                        yield 'head', json.loads(f'{{{text}}}', parse_constant=_refuse_constant)
                elif text == '}':
                    is_whole = True
                elif text != '{':
                    raise ValueError(f'a line {text[:40]!r}')
    except OSError as error:
        raise AnnotationError(f'{path} cannot be read ({error.strerror})') from error
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f'{path} is damaged, or no tool of ours wrote it ({error})') from error
    if not is_whole:
        raise AnnotationError(f'{path} is cut short: write it again')


@contextmanager
def publish_coco(target: Path, head: Mapping[str, Any], *, overwrite: bool) -> Iterator[CocoWriter]:
    """Give a writer for a COCO file that appears when the block ends without error.

    Args:
        target: the file. One that is there with the very content that is written again stays.
        head: what comes before the images, in order: info, licenses, categories.
        overwrite: replace one of other content.

    Raises:
        OutputError: there is one of other content, or it cannot be written.
    """
    verify = None if overwrite else _refuse_change_of(target)
    with (
        publish_file(target, overwrite=True, verify=verify) as path,
        path.open('wb') as file,
        tempfile.TemporaryFile(dir=target.parent) as spool,
    ):
        writer = CocoWriter(file, spool, head)
        yield writer
        writer.finish()


def _refuse_change_of(target: Path) -> Any:
    def verify(written: Path) -> None:
        if target.exists() and not _same_bytes(target, written):
            raise OutputError(
                f'{target} exists already, with other content: look at what changed, then use --overwrite'
            )

    return verify


def _same_bytes(first: Path, second: Path) -> bool:
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open('rb') as one, second.open('rb') as other:
        while chunk := one.read(_CHUNK):
            if chunk != other.read(_CHUNK):
                return False
    return True


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = _parse_text(path.read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise AnnotationError(f'{path} cannot be read ({error.strerror})') from error
    except (ValueError, RecursionError) as error:
        fault = 'is empty' if not path.stat().st_size else f'is damaged ({error})'
        raise AnnotationError(f'{path} {fault}: convert or fetch it again') from error
    if not isinstance(content, dict):
        raise AnnotationError(f'{path} holds a {type(content).__name__}, no COCO object: export it as COCO')
    return content


def _parse_text(text: str) -> Any:
    content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    # an escape such as \\ud800 stands for half a character, which no file can hold
    if '\\ud' in text or '\\uD' in text:
        try:
            _encode(content).encode()
        except UnicodeEncodeError as error:
            raise ValueError('half a character in a text') from error
    return content


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f'{text[:40]} is no number')
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f'{text} is no number')


def _refuse(
    path: Path, section: str, faults: list[str], error: type[AnnotationError] = AnnotationError
) -> None:
    if faults:
        shown = '; '.join(faults[:3])
        noun = section if len(faults) > 1 else section.replace('ies', 'y').removesuffix('s')
        raise error(f'{path}: {len(faults)} faulty {noun}: {shown}. Mend or export it again')


def _repeated(records: list[dict[str, Any]], key: str) -> list[str]:
    counts = Counter(record[key] for record in records)
    return [f'{count} share the {key} {value!r}' for value, count in counts.items() if count > 1]


def _check_categories(content: CocoContent) -> None:
    faults = [fault for category in content.categories if (fault := category_fault(category))]
    faults = faults or [*_repeated(content.categories, 'id'), *_repeated(content.categories, 'name')]
    _refuse(content.path, 'categories', faults)


def _check_images(content: CocoContent) -> None:
    faults = [fault for image in content.images if (fault := image_fault(image))]
    faults = faults or [*_repeated(content.images, 'id'), *_repeated(content.images, 'file_name')]
    names = (image.get('file_name') for image in content.images) if faults else ()
    is_unsafe = any(isinstance(name, str) and unsafe_name_fault(name) for name in names)
    _refuse(content.path, 'images', faults, UnsafeNameError if is_unsafe else AnnotationError)


def _check_annotations(content: CocoContent) -> None:
    images = {image['id']: (image['height'], image['width']) for image in content.images}
    categories = {category['id'] for category in content.categories}
    lacking = sum(not is_complete(annotation) for annotation in content.annotations)
    faults = []
    ids = set()
    odd: Counter[str] = Counter()
    for annotation in content.annotations:
        id_ = annotation.get('id')
        if fault := _annotation_fault(annotation, images, categories):
            faults.append(f'annotation {id_!r}: {fault}')
        elif type(id_) is not int:
            odd['texts or missing'] += 1
        elif id_ == 0:
            # evaluators note the id of a matched object, where 0 stands for none
            odd['0'] += 1
        elif not 0 <= id_ <= _LARGEST_ID:
            odd['beyond 64 bits'] += 1
        elif id_ in ids:
            odd['not unique'] += 1
        else:
            ids.add(id_)
    _refuse(content.path, 'annotations', faults)
    if lacking:
        content.notes.append(
            f'{content.path.name}: areas or boxes of {lacking} annotations computed from their masks'
        )
    if odd:
        for number, annotation in enumerate(content.annotations, start=1):
            annotation['id'] = number
        content.notes.append(f'{content.path.name}: ids of annotations numbered anew, {_spelled(odd)}')


def _annotation_fault(
    annotation: dict[str, Any], images: Mapping[Any, tuple[int, int]], categories: Container[Any]
) -> str:
    """Return what is wrong with an annotation, or ''; compute the area and the box that it lacks."""
    fault = reference_fault(annotation, images, categories)
    if not fault and (annotation.get('area') or 0) < 0:
        return f'its area {annotation["area"]} is negative'
    if fault or is_complete(annotation):
        return fault
    if fault := mask_fault(annotation, images[annotation['image_id']]):
        return fault
    complete(annotation, images[annotation['image_id']])
    return ''


def _number_anew(content: CocoContent, section: str, reference: str, *, first: int) -> None:
    """Give images or categories new ids if any is a text or too large, and annotations the same."""
    records = getattr(content, section)
    odd = Counter(
        'texts' if isinstance(record['id'], str) else 'beyond 64 bits'
        for record in records
        if isinstance(record['id'], str) or not 0 <= record['id'] <= _LARGEST_ID
    )
    if not odd:
        _refuse_lists(content, reference)
        return
    new = {record['id']: number for number, record in enumerate(records, start=first)}
    _refuse_lists(content, reference)
    for annotation in content.annotations:
        # one that refers to nothing is refused afterwards
        annotation[reference] = new.get(annotation.get(reference), -1)
    for record in records:
        record['id'] = new[record['id']]
    content.notes.append(f'{content.path.name}: ids of {section} numbered anew, {_spelled(odd)}')


def _refuse_lists(content: CocoContent, reference: str) -> None:
    """Ids that cannot be looked up, such as lists, are refused before they are."""
    faults = [
        f'{annotation.get("id")!r} has the {reference} {annotation.get(reference)!r}'
        for annotation in content.annotations
        if not is_id(annotation.get(reference))
    ]
    _refuse(content.path, 'annotations', faults)


def _spelled(odd: Counter[str]) -> str:
    return ', '.join(f'{count:,} were {reason}' for reason, count in sorted(odd.items()))
