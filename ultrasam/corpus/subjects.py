"""Who was imaged: the subjects of a data set, with what a choice of parts needs to know of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ultrasam.coco.files import CocoContent, read_coco
from ultrasam.corpus.classification.corpus_lists import ImageClasses, read_image_classes, two_classes
from ultrasam.corpus.layout import DatasetFolder
from ultrasam.errors import AnnotationError


@dataclass
class SubjectFacts:
    """Subjects of a data set.

    Args:
        folder: the data set.
        unit: ``'subject'``, or ``'source file'`` where no subject is known.
        images: of each subject, outside an official test part.
        categories: ids that each shows; classes of whole images count, too, as -1, -2, ...
        digests: sha256 of its images.
        names: of the categories, by id.
        test_subjects: images of each subject in the official test part.
        test_digests: sha256 of these.
        tested: subjects that are tested with too.
        classes: of whole images; None where none are known.
        two_classes: pairs of images that are the same and of different classes.
        no_classes: why there are none although images have labels.
        notes: what was mended while the files were read.
    """

    folder: DatasetFolder
    unit: str
    images: Counter[str] = field(default_factory=Counter)
    categories: dict[str, set[int]] = field(default_factory=dict)
    digests: dict[str, list[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    test_subjects: Counter[str] = field(default_factory=Counter)
    test_digests: dict[str, list[str]] = field(default_factory=dict)
    tested: set[str] = field(default_factory=set)
    classes: ImageClasses | None = None
    two_classes: list[str] = field(default_factory=list)
    no_classes: str = ''
    notes: list[str] = field(default_factory=list)

    @property
    def release(self) -> str:
        """What the data set was published in; subjects of one release are the same people."""
        return self.folder.facts().release


def subject_of(image: Mapping[str, Any]) -> str:
    """The subject of an image; where none is known its source file, or the image itself."""
    for key in ('subject', 'source_file', 'file_name'):
        value = image.get(key)
        if value is not None and value != '':
            return str(value)
    return ''


def gather_subjects(folder: DatasetFolder) -> SubjectFacts:
    """Read the annotation files of a data set and list its subjects.

    Raises:
        AnnotationError: a file cannot be used, a label is no class, or the test part has other categories.
    """
    test_path = folder.coco_path('test')
    content = read_coco(folder.coco_path(), allow_empty=test_path.is_file())
    digest_of = folder.image_digests()
    known = folder.manifest().get('subject_known')
    if known is None:
        known = any(image.get('subject') not in (None, image.get('source_file')) for image in content.images)
    facts = SubjectFacts(folder, 'subject' if known else 'source file', notes=list(content.notes))
    subject_by_id = _count_images(content, digest_of, facts.images, facts.digests)
    facts.categories = {subject: set() for subject in facts.images}
    for annotation in content.annotations:
        facts.categories[subject_by_id[annotation['image_id']]].add(annotation['category_id'])
    facts.names = {category['id']: category['name'] for category in content.categories}
    test = read_coco(test_path, allow_empty=True) if test_path.is_file() else None
    if test is not None:
        _check_same_categories(content, test)
        _count_images(test, digest_of, facts.test_subjects, facts.test_digests)
        facts.notes += test.notes
    facts.classes, facts.no_classes = read_image_classes(folder, content, test)
    if facts.classes is not None:
        facts.two_classes = two_classes(facts.classes, digest_of)
        for image in content.images:
            found = facts.classes.main.get(image['file_name'], ())
            # ids of categories are never negative
            facts.categories[subject_by_id[image['id']]].update(-1 - index for index in found)
    return facts


def _count_images(
    content: CocoContent, digest_of: Mapping[str, str], images: Counter[str], digests: dict[str, list[str]]
) -> dict[int, str]:
    """Add the images of a file to the counts of their subjects; gives the subject of each image id."""
    subject_by_id = {}
    for image in content.images:
        subject = subject_of(image)
        subject_by_id[image['id']] = subject
        images[subject] += 1
        digest = digest_of.get(image['file_name'])
        if digest:
            digests.setdefault(subject, []).append(digest)
    return subject_by_id


def _check_same_categories(main: CocoContent, test: CocoContent) -> None:
    def table(content: CocoContent) -> dict[int, str]:
        return {category['id']: category['name'] for category in content.categories}

    if table(main) != table(test):
        raise AnnotationError(
            f'{test.path} has the categories {table(test)}, {main.path.name} has {table(main)}: '
            'the files of a data set must have the same. Convert it again'
        )
