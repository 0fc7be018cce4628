r"""What a description of a data set says. This docstring is the reference for those who write one.

A description is a file in ``datasets/us43d`` with one constant, ``SPEC``, and at most one function. Example::

    SPEC = DatasetSpec(
        name='BUSI',                                  # of the output folder and of its files
        title='Dataset of breast ultrasound images',
        homepage='https://...', licence='...', citation='...', access='open',
        organs=('breast',), application='lesions, benign or malignant',
        categories=(Category('breast_nodule', 'nodule'),),   # ids 1, 2, ... in this order
        frames=ImageFiles('{label:benign|malignant}/{label} ({n}).png'),
        annotations=(
            MaskFiles(r'{label}/{label} ({n})_mask{k:(?:_\d+)?}.png', Threshold(150, 'breast_nodule')),
        ),
        expected=Expected(images=647),
    )

From a source (an archive, or a folder with archives or unpacked files) the engine makes *items*: one for each
file that ``frames`` matches, with the *groups* that its pattern names. ``tables`` add groups from CSV, text or
spreadsheet files; ``translate`` renames their values. Annotation files are paired with the item by the groups
that both patterns have; several that fit one image are kept apart, so that overlapping lesions stay two. Groups
may be used in ``subject``, ``split``, ``label``, ``series`` and in every category name.

Every file of the source is an image, an annotation, a table, one of ``leave_out``, or counted as unused in the
report. A file that cannot be used is a fault; faults are collected, and a data set with a fault that
``known_faults`` does not name is not published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from ultrasam.corpus.definition import check_definition
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.release import Download, Verified
from ultrasam.corpus.words import AnnotationFiles, Files, FrameFiles
from ultrasam.errors import ConfigError, InputError

if TYPE_CHECKING:
    from ultrasam.corpus.frames import RawFrame
    from ultrasam.corpus.plan import Item, SourceFile

CRUMB_PX = 4
"""Largest area of a crumb. Real masks have some: 24 of the 690 objects of BUSI."""
TableForm = Literal['csv', 'list', 'xlsx', 'coco', 'index']


@dataclass(frozen=True)
class Category:
    """A class of structure; its COCO id is its place in ``categories``, from 1.

    Args:
        name: what configs call it.
        supercategory: the kind of structure.
        optional: only some copies of the release need it; it is written only where an object has it, and stands last.
    """

    name: str
    supercategory: str
    optional: bool = False


@dataclass(frozen=True)
class Rows:
    """Rows of table files that belong to an item, for annotations that read them.

    Args:
        name: by which an annotation asks for them.
        pattern: of the files; its groups are columns, too.
        on: the template, filled with the groups of an item, that a column must equal.
        form: ``'csv'`` with a header, ``'list'``: lines of the given columns, ``'xlsx'``, ``'coco'``: one row an
            object with the columns file_name, category_id and segmentation, ``'index'``: a JSON object of lists,
            one row a value with the columns list and value.
        columns: names of the columns of a file without a header.
        delimiter: between columns; None: any white space.
        encoding: of text.
    """

    name: str
    pattern: str
    on: Mapping[str, str]
    form: TableForm = 'csv'
    columns: tuple[str, ...] = ()
    delimiter: str | None = ','
    encoding: str = 'utf-8-sig'


@dataclass(frozen=True)
class Table:
    """A table with one row an item (or rows that agree), whose values become groups.

    Args:
        pattern: of the files; its groups are columns, too.
        on: the template, filled with the groups of an item, that a column must equal.
        take: column of each new group.
        absent: what an item without a row is: a fault, left out and counted, or one whose groups are empty.
        whole: a row without an image is a fault; otherwise such rows are counted.
        missing: what it is that no file matches: a fault, or, for a table that not every copy of a release has,
            groups that are empty for every item, which the report says.
        form: as for :class:`Rows`.
        columns: as for :class:`Rows`.
        delimiter: as for :class:`Rows`.
        encoding: as for :class:`Rows`.
    """

    pattern: str
    on: Mapping[str, str]
    take: Mapping[str, str]
    absent: Literal['fault', 'empty', 'skip'] = 'fault'
    whole: bool = False
    missing: Literal['fault', 'empty'] = 'fault'
    form: TableForm = 'csv'
    columns: tuple[str, ...] = ()
    delimiter: str | None = ','
    encoding: str = 'utf-8-sig'


@dataclass(frozen=True)
class Split:
    """The official split: what ``by`` gives is compared with the patterns for test, val and train, in this order.

    Args:
        by: template.
        test: shell patterns of the test part, which goes into a file of its own.
        val: of the validation part, which is noted with each image.
        train: of the training part; what fits none is a fault.

    Example:
        >>> Split('{fold}|{valid}', test=('1|*',), val=('*|1',)).part_of({'fold': '2', 'valid': '1'})
        'val'
    """

    by: str
    test: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    train: tuple[str, ...] = ('*',)

    def part_of(self, groups: Mapping[str, str]) -> str:
        """``'test'``, ``'val'`` or ``'train'``.

        Raises:
            ConfigError: no part takes this value.
        """
        value = fill(self.by, groups)
        for part, patterns in (('test', self.test), ('val', self.val), ('train', self.train)):
            if any(fnmatchcase(value, pattern) for pattern in patterns):
                return part
        raise ConfigError(f'{value!r} belongs to no part of the official split')


@dataclass(frozen=True)
class Instances:
    """How a structure becomes instances.

    Args:
        components: one instance for each connected component (8 neighbours); else one for all pixels.
        fill_holes: fill what a structure encloses before it is split.
        min_area: smallest instance in pixels; what is dropped is counted. Unless a description says otherwise, crumbs
            of up to ``CRUMB_PX`` pixels are dropped, which a slip of the hand or a resampled edge leaves.
        min_share: smallest instance as a share of the largest of its image; what is dropped is counted.
        largest: keep only the largest component of a structure; what is dropped is counted.
    """

    components: bool = True
    fill_holes: bool = False
    min_area: int = CRUMB_PX + 1
    min_share: float = 0.0
    largest: bool = False

    def with_crumbs(self) -> Instances:
        """The same, crumbs kept."""
        return replace(self, min_area=1) if self.min_area == CRUMB_PX + 1 else self


@dataclass(frozen=True)
class Expected:
    """Counts of the published release; None where none is known for certain.

    Args:
        images: written, both parts together.
        test_images: of the test part.
        subjects: of both parts.
        annotations: of both parts.
    """

    images: int | None = None
    test_images: int | None = None
    subjects: int | None = None
    annotations: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """The description of a data set.

    Args:
        name: of the output folder and the first part of every file name.
        title: what the data set is called.
        homepage: where it is described.
        licence: under which it is released; empty if none is stated.
        citation: the paper to cite.
        access: how it is obtained.
        organs: that the images show, each by the one name that all descriptions have for it.
        application: what the structures are outlined for, or what the images are of, in a few words.
        patients_of: name of the data set whose patients these are, where both are one release.
        public_test: Published comparisons test with it, so that a training set without public tests leaves it out.
        held_out: Models are tested on it that were trained without its organ.
        categories: classes of structure, in the order of their ids.
        frames: where the images are.
        annotations: where the masks are; all of them count.
        archives: patterns of archives inside the source that hold the data, outer ones before inner ones.
        tables: tables that add groups to items.
        rows: tables whose rows annotations read.
        translate: for a group, the text that each of its values becomes; another value is a fault.
        subject: template of the patient or recording; None: every image is its own, since none is known.
        split: the official split; None if there is none.
        label: template of the image-level class.
        classes: image-level classes in the order of their indices, which ``classes.txt`` keeps; the tools that split
            the corpus write lists for classifiers.
        spacing_mm: template of the millimetres of a pixel, rows and columns alike; where it is filled with nothing, an
            image states none.
        noted: further facts of an image by the names that they get: template of each.
        series: template put into the file names between name and number, which then starts again from 0.
        empty: whether images without objects are kept, or left out and counted.
        min_marked: smallest share of the pixels of a frame that must be marked; below it the frame is left out and
            counted, since its marks are slips.
        turn: how image and mask are turned alike: ``'half'`` = by 180 degrees, ``'upside_down'`` = rows reversed.
        clip: clear mask pixels outside the hull of the lit sector (``'sector'``), or wherever the image is 0
            (``'black'``).
        instances: how structures become instances.
        test_instances: the same for the test part, where it differs.
        stray_share: the largest share of mask pixels that no rule names before a mask is refused.
        leave_out: pattern of files that are not used, and why.
        known_faults: pattern of images of the published release that are known to be unusable, and why.
        expected: counts of the release.
        published: fields as the published model's data had them, where a number that it reports depends on it.
        read: reads an item instead of ``annotations`` and the reader of ``frames``; for irregular data sets.
        spans: With ``read``, the parts of a file, each an item of its own: first frame (or record) and last + 1.
        adjust: changes a frame after it was read, before it is turned and split into instances.
        notes: what a user should know about the release.
        downloads: where the files of the release are; empty if no public source says.
        verified: the release that this description was run on; None if it never was run on one.
    """

    name: str
    title: str
    homepage: str
    licence: str
    citation: str
    access: str
    categories: tuple[Category, ...]
    frames: FrameFiles
    organs: tuple[str, ...] = ()
    application: str = ''
    patients_of: str = ''
    public_test: bool = False
    held_out: bool = False
    annotations: tuple[AnnotationFiles, ...] = ()
    archives: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    rows: tuple[Rows, ...] = ()
    translate: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    subject: str | None = None
    split: Split | None = None
    label: str = ''
    classes: tuple[str, ...] = ()
    spacing_mm: str = ''
    noted: Mapping[str, str] = field(default_factory=dict)
    series: str = ''
    empty: Literal['keep', 'skip'] = 'keep'
    min_marked: float = 0.0
    turn: Literal['no', 'half', 'upside_down'] = 'no'
    clip: Literal['no', 'sector', 'black'] = 'no'
    instances: Instances = Instances()
    test_instances: Instances | None = None
    stray_share: float = 0.005
    leave_out: Mapping[str, str] = field(default_factory=dict)
    known_faults: Mapping[str, str] = field(default_factory=dict)
    expected: Expected = Expected()
    published: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[Item], Iterator[RawFrame]] | None = None
    spans: Callable[[SourceFile], Sequence[tuple[int, int]]] | None = None
    adjust: Callable[[RawFrame, Item], RawFrame] | None = None
    notes: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()
    verified: Verified | None = None

    def __post_init__(self) -> None:
        """See that the description can work."""
        self.check_contents()
        if bool(self.label) != bool(self.classes):
            raise ConfigError(f'{self.name}: label and classes go together')
        unknown = set(self.published) - set(self.__dataclass_fields__)
        if unknown:
            raise ConfigError(f'{self.name}: published names {sorted(unknown)}, which no description has')
        if self.read is None and isinstance(self.frames, Files):
            raise ConfigError(f'{self.name}: frames are Files, which nothing reads: give a function read=...')
        check_definition(self, self.derived_groups)

    def check_contents(self) -> None:
        """See that there is something to convert.

        Raises:
            ConfigError: there is not.
        """
        names = [category.name for category in self.categories]
        if not names or len(set(names)) != len(names):
            raise ConfigError(f'{self.name}: categories {names} must be some, and each only once')
        if not self.annotations and self.read is None:
            raise ConfigError(f'{self.name}: neither annotations nor a function to read items')

    @property
    def derived_groups(self) -> tuple[str, ...]:
        """Groups that are made from others for each frame."""
        return ()

    def completed(self, groups: Mapping[str, str]) -> Mapping[str, str]:
        """Groups of a frame, with those that a kind of description makes from them."""
        return groups

    def extras(self, groups: Mapping[str, str]) -> dict[str, Any]:
        """What the record of a frame says beyond what all do."""
        stated = {key: fill(text, groups) for key, text in self.noted.items()}
        found: dict[str, Any] = {'noted': stated} if stated else {}
        if spacing := fill(self.spacing_mm, groups):
            found['spacing_mm'] = positive_number(spacing, 'spacing_mm')
        return found

    def as_published(self) -> DatasetSpec:
        """The description with the choices on which a published number depends; nothing was filtered there."""
        return replace(self, **self.published, published={}).with_crumbs()

    def with_crumbs(self) -> DatasetSpec:
        """The description without the rule that drops crumbs."""
        test = None if self.test_instances is None else self.test_instances.with_crumbs()
        return replace(self, instances=self.instances.with_crumbs(), test_instances=test)

    def category_id(self, name: str) -> int:
        """COCO id of a category.

        Raises:
            ConfigError: there is none of this name.
        """
        for number, category in enumerate(self.categories, start=1):
            if category.name == name:
                return number
        raise ConfigError(f'{name!r} is no category of {self.name}: {[c.name for c in self.categories]}')


@dataclass(frozen=True)
class Choices:
    """What a user chooses of a description.

    Args:
        published: make the choices of the published model's data.
        keep_crumbs: keep objects of up to ``CRUMB_PX`` pixels.
    """

    published: bool = False
    keep_crumbs: bool = False

    def of(self, spec: DatasetSpec) -> DatasetSpec:
        """The description with these choices."""
        chosen = spec.as_published() if self.published else spec
        return chosen.with_crumbs() if self.keep_crumbs else chosen


def positive_number(text: str, name: str) -> float:
    """Return the number in a text.

    Raises:
        InputError: It is none, or not a positive one.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float('inf'):
        raise InputError(f'{name} is {text!r}, which is not a positive number')
    return number
