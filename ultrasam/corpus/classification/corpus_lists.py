"""Classes of whole images: labels in COCO files, and the lists that classifiers read, by the parts of these files.

The ``label`` of an image in a COCO file is the name of its class, or a list of names where an image may have several;
all images of a data set have it in the same form. ``annotations/classes.txt`` names the classes, one a line, in the
order of their indices. A line of a list is ``images/NAME``, a blank and the index, or indices joined by commas, or
``-`` for an image with none of several classes. Images whose class is not known are in no list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasam.atomic import publish_bytes
from ultrasam.coco.files import CocoContent
from ultrasam.corpus.layout import DatasetFolder
from ultrasam.errors import AnnotationError, OutputError

CLASSES = 'classes.txt'
LISTS = {'train': 'train.txt', 'val': 'val_classification.txt', 'test': 'test_classification.txt'}
"""Names of the lists of each part, beside the COCO files."""
NO_CLASS = '-'
_PREFIX = 'images/'
_SHOWN = 3
Indices = tuple[int, ...]


@dataclass(frozen=True)
class ImageClasses:
    """Classes of the images of a data set.

    Args:
        names: of the classes, in the order of their indices.
        several: whether an image may have several classes, or none.
        main: indices of each image whose class is known, by file name, outside the official test part.
        test: the same for the official test part.
    """

    names: tuple[str, ...]
    several: bool
    main: Mapping[str, Indices]
    test: Mapping[str, Indices]

    def of_part(self, part: str) -> Mapping[str, Indices]:
        """Images from which those of a part are chosen."""
        return self.test if part == 'test' else self.main

    def lines(self, part: str, names: Iterable[str]) -> list[str]:
        """Lines of a list.

        Args:
            part: ``'train'``, ``'val'`` or ``'test'``.
            names: of the images of the part, in their order; those whose class is not known are passed over.
        """
        known = self.of_part(part)
        return [f'{_PREFIX}{name} {spelled(known[name])}\n' for name in names if name in known]

    def counts(self, part: str, names: Iterable[str]) -> Counter[str]:
        """Images of each class in a part."""
        known = self.of_part(part)
        return Counter(self.names[index] for name in names for index in known.get(name, ()))

    def is_of_one_class(self, part: str, names: Iterable[str]) -> bool:
        """Whether nothing is to be learned from a part: all its images are of the same, single class."""
        return not self.several and len(self.counts(part, names)) == 1


def spelled(indices: Indices) -> str:
    """Indices as they stand in a list."""
    return ','.join(map(str, indices)) or NO_CLASS


def read_class_names(folder: DatasetFolder) -> tuple[str, ...] | None:
    """Names of the classes of a data set, in the order of their indices; None where it has no ``classes.txt``.

    Raises:
        AnnotationError: the file is damaged, or names a class twice.
    """
    path = folder.annotations / CLASSES
    if not path.exists():
        return None
    try:
        names = path.read_text(encoding='utf-8').removesuffix('\n').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f'{path} cannot be read ({error}): convert the data set again') from error
    double = [name for name, count in Counter(names).items() if count > 1]
    if double or any(not name.strip() for name in names):
        fault = f'names {double[0]!r} twice' if double else 'is empty, or has an empty line'
        raise AnnotationError(f'{path} {fault}: it must name each class once, one a line')
    return tuple(names)


def read_image_classes(
    folder: DatasetFolder, content: CocoContent, test: CocoContent | None
) -> tuple[ImageClasses | None, str]:
    """Classes of the images of a data set, and why there are none although images have labels.

    Args:
        folder: of the data set.
        content: of its COCO file.
        test: of that of its official test part.

    Raises:
        AnnotationError: a label that is no class, images with one label beside images with several, or a damaged
            ``classes.txt``.
    """
    contents = [content] if test is None else [content, test]
    if not any(image.get('label') for one in contents for image in one.images):
        return None, ''
    names = read_class_names(folder)
    if names is None:
        return None, (
            f'no lists of classes: there is no annotations/{CLASSES}; convert the data set again, or, for data of your '
            'own, write it: the names of the classes, one a line'
        )
    if any(f'annotations/{name}' in folder.manifest().get('files', {}) for name in LISTS.values()):
        return None, 'no lists of classes: those here are of an earlier converter; convert the data set again'
    several = all(isinstance(image['label'], list) for one in contents for image in _labelled(one))
    found = [_indices(one, names, several=several) for one in contents]
    return ImageClasses(names, several, found[0], found[1] if test is not None else {}), ''


def write_class_lists(
    folder: DatasetFolder, classes: ImageClasses, images: Mapping[str, Sequence[str]], *, overwrite: bool
) -> tuple[dict[str, Counter[str]], str]:
    """Write the list of each part; a part without images of known class has none.

    Args:
        folder: of the data set.
        classes: of its images.
        images: file names of each part, in their order.
        overwrite: replace or remove lists of another split.

    Returns:
        Images of each class in each list, and why there are none.

    Raises:
        OutputError: a list is there already with other content, or cannot be written.
    """
    lines = {part: classes.lines(part, images.get(part, ())) for part in LISTS}
    why = ''
    if classes.is_of_one_class('train', images.get('train', ())):
        (only,) = classes.counts('train', images['train'])
        why = f'no lists of classes: all images to train on are of one, {only}'
        lines = {part: [] for part in LISTS}
    for part, name in LISTS.items():
        _publish(folder.annotations / name, ''.join(lines[part]).encode(), overwrite=overwrite)
    return {part: classes.counts(part, images[part]) for part in LISTS if lines[part]}, why


def two_classes(classes: ImageClasses, digest_of: Mapping[str, str]) -> list[str]:
    """Pairs of images that are the same, byte by byte, and of different classes: ``'a.png = b.png'``."""
    first: dict[str, tuple[str, Indices]] = {}
    pairs = []
    for name, indices in (*classes.main.items(), *classes.test.items()):
        other, known = first.setdefault(digest_of.get(name) or name, (name, indices))
        if known != indices:
            pairs.append(f'{other} = {name}')
    return pairs


def _labelled(content: CocoContent) -> list[dict[str, Any]]:
    """Images whose class is known; an empty list means that it is known to be none."""
    return [image for image in content.images if image.get('label') not in (None, '')]


def _indices(content: CocoContent, names: Sequence[str], *, several: bool) -> dict[str, Indices]:
    place = {name: index for index, name in enumerate(names)}
    found = {}
    faults = []
    for image in _labelled(content):
        label = image['label']
        if fault := _label_fault(label, place, several=several):
            faults.append(f'{image["file_name"]} {fault}')
        else:
            chosen = label if several else [label]
            found[image['file_name']] = tuple(sorted({place[one] for one in chosen}))
    if faults:
        raise AnnotationError(
            f'{content.path}: {len(faults)} images with faulty labels: {"; ".join(faults[:_SHOWN])}. '
            f'The classes are {", ".join(names)} ({CLASSES}); mend the file, or convert the data set again'
        )
    return found


def _label_fault(label: Any, known: Collection[str], *, several: bool) -> str:
    """Why a label cannot be used, or nothing."""
    if isinstance(label, list) and not several:
        return f'has {len(label)} labels, {label}, where others have one'
    unknown = [one for one in (label if several else [label]) if not isinstance(one, str) or one not in known]
    return f'is of the class {unknown[0]!r}, which there is not' if unknown else ''


def _publish(target: Path, content: bytes, *, overwrite: bool) -> None:
    """Write a list, or remove one that the present split does not have; what is as it should be stays."""
    is_there = target.is_file()
    if is_there and content and target.read_bytes() == content:
        return
    if is_there and not overwrite:
        raise OutputError(
            f'{target} is of another split, or was changed: look at what differs, then use --overwrite'
        )
    if content:
        publish_bytes(target, content, overwrite=overwrite)
    elif is_there:
        target.unlink()
