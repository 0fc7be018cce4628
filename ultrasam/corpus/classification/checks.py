"""Are the lists for classifiers what the COCO files of a data set say: images, classes, and the part of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ultrasam.coco.files import CocoContent
from ultrasam.corpus.classification.corpus_lists import (
    CLASSES,
    LISTS,
    NO_CLASS,
    ImageClasses,
    read_class_names,
    read_image_classes,
    spelled,
)
from ultrasam.corpus.layout import DatasetFolder
from ultrasam.errors import AnnotationError

Fault = tuple[str, str]
"""Kind and example."""
_PREFIX = 'images/'
ANOTHER_PART = 'lists of classes with images of another part'


def list_faults(
    folder: DatasetFolder, contents: Mapping[str, CocoContent], images: Collection[str]
) -> Iterator[Fault]:
    """Faults of the lists of a data set.

    Args:
        folder: of the data set.
        contents: its COCO files by part; that of the converter without one.
        images: names of the image files on disk.

    Yields:
        The kind of each fault, and an example in words.
    """
    paths = {part: folder.annotations / name for part, name in LISTS.items()}
    there = {part: path for part, path in paths.items() if path.is_file()}
    main = contents.get('')
    try:
        names = read_class_names(folder)
        if main is None or names is None:
            for path in there.values():
                yield (
                    'lists of classes without their names',
                    f'{path}: no {CLASSES} or no COCO file; convert again',
                )
            return
        classes, why = read_image_classes(folder, main, contents.get('test'))
    except AnnotationError as error:
        yield 'labels that are no classes', str(error)
        return
    if classes is None:
        for path in there.values():
            yield 'lists of classes without labels', f'{path}: {why or "no image of the COCO file has one"}'
        return
    for part, path in there.items():
        yield from _faults_of_list(path, part, classes, contents.get(part), images)
    if 'train' in contents or 'val' in contents:
        yield from _missing_lists(folder, classes, contents, there)


def listed_images(folder: DatasetFolder) -> dict[str, list[str]]:
    """Names of the images in the list of each part; a line that cannot be read counts as none."""
    found = {}
    for part, name in LISTS.items():
        path = folder.annotations / name
        found[part] = [name for name, _ in _entries(path)] if path.is_file() else []
    return found


def _entries(path: Path) -> list[tuple[str, str]]:
    """Image and label of each line; the name is empty where a line is none."""
    try:
        lines = path.read_text(encoding='utf-8').removesuffix('\n').split('\n')
    except (OSError, UnicodeDecodeError):
        return [('', '')]
    parted = [line.rpartition(' ') for line in lines]
    return [
        (name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else '', label) for name, _, label in parted
    ]


def _faults_of_list(
    path: Path, part: str, classes: ImageClasses, content: CocoContent | None, images: Collection[str]
) -> Iterator[Fault]:
    entries = _entries(path)
    in_part = {image['file_name'] for image in content.images} if content is not None else set()
    known = classes.of_part(part)
    counts = Counter(name for name, _ in entries)
    for number, (name, label) in enumerate(entries, start=1):
        where = f'{path}, line {number}: {name}'
        if not name:
            yield 'damaged files', f'{path}, line {number}: no {_PREFIX}NAME and index'
            continue
        if name not in images:
            yield 'images that are missing', where
        if name not in in_part:
            yield ANOTHER_PART, f'{where} is not in {path.parent.parent.name} {part}'
        if _unknown(label, len(classes.names)):
            yield 'lists of classes with classes that there are not', f'{where} is of {label!r}'
        elif name in known and spelled(known[name]) != label:
            yield (
                'lists of classes with other classes than the COCO files',
                f'{where} is of {label}, not {spelled(known[name])}',
            )
        elif name not in known and name in in_part:
            yield 'lists of classes with other classes than the COCO files', f'{where} has no label'
    for name, count in counts.items():
        if name and count > 1:
            yield 'lists of classes with an image twice', f'{path}: {name}'
    labels = {label for name, label in entries if name}
    if part == 'train' and not classes.several and len(labels) == 1:
        yield 'lists of one class only', f'{path}: class {labels.pop()}'
    lacking = [name for name in known if name in in_part and name not in counts]
    if lacking:
        yield 'lists of classes that lack images', f'{path}: {len(lacking)}, first {lacking[0]}'


def _missing_lists(
    folder: DatasetFolder,
    classes: ImageClasses,
    contents: Mapping[str, CocoContent],
    there: Collection[str],
) -> Iterator[Fault]:
    """Lists that a split would have written; it writes none where training would see one class only."""
    names = {part: [i['file_name'] for i in contents[part].images] for part in LISTS if part in contents}
    if classes.is_of_one_class('train', names.get('train', ())):
        return
    for part in names:
        if part not in there and classes.lines(part, names[part]):
            yield (
                'lists of classes that are missing',
                f'{folder.name}/annotations/{LISTS[part]}: split the corpus again',
            )


def _unknown(label: str, count: int) -> bool:
    parts = label.split(',') if label != NO_CLASS else []
    return any(part not in map(str, range(count)) for part in parts)
