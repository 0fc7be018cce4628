"""Is a corpus what it claims to be: every file, image, id and mask of it, and no subject or image in two parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasam.coco.file_names import name_fault
from ultrasam.coco.files import CocoContent, read_coco, stream_records
from ultrasam.corpus.agnostic import OBJECT
from ultrasam.corpus.classification.checks import list_faults, listed_images
from ultrasam.corpus.errors import UnsafeNameError
from ultrasam.corpus.image_files import ImageFacts, ImageFolder
from ultrasam.corpus.layout import PARTS, Corpus, DatasetFolder, Track, open_corpus, untracked
from ultrasam.corpus.merge import merged_path
from ultrasam.corpus.subjects import subject_of
from ultrasam.errors import AnnotationError
from ultrasam.masks.mask_checks import MaskChecks

_SHOWN = 5
_UNSAFE = ('links that leave their data set', 'names that leave the root')


@dataclass
class VerifyReport:
    """What a check found.

    Args:
        corpus: what the root holds.
        faults: how many there are of each kind.
        examples: the first few of each kind, in words.
        counts: of files, images and masks that were looked at.
        notes: what is worth knowing and no fault.
    """

    corpus: Corpus
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    @property
    def is_unsafe(self) -> bool:
        """Whether names or links lead out of the corpus."""
        return any(self.faults[kind] for kind in _UNSAFE)

    def add(self, kind: str, example: str, count: int = 1) -> None:
        """Note a fault, or some of them."""
        self.faults[kind] += count
        examples = self.examples.setdefault(kind, [])
        if len(examples) < _SHOWN:
            examples.append(example)


def verify_corpus(root: Path, *, pixels: bool = False, track: Track = untracked) -> VerifyReport:
    """Check all data sets of a root, and the merged files at the root.

    Without ``pixels`` an image is found, its header read, and its content known by the SHA-256 in the manifest;
    with it every image is decoded, and its SHA-256 compared.

    Args:
        root: folder of all data sets, or of one.
        pixels: decode every image.
        track: shows progress.

    Returns:
        What was found; no fault means that all is well.

    Raises:
        InputError: there is no data set.
    """
    report = VerifyReport(open_corpus(root))
    check = _Check(report, pixels=pixels)
    for folder in track(report.corpus.datasets, 'verify'):
        check.dataset(folder)
    for path in track(merged_files(report.corpus), 'verify merged'):
        check.merged(path)
    check.leaks()
    return report


def merged_files(corpus: Corpus) -> list[Path]:
    """COCO files at the root of a corpus of many data sets, sorted."""
    if corpus.datasets[0].path == corpus.root:
        return []
    return sorted([*corpus.root.glob('*.coco.json'), *corpus.root.glob('*.noStructure.*.json')])


class _Check:
    def __init__(self, report: VerifyReport, *, pixels: bool) -> None:
        self._report = report
        self._pixels = pixels
        # by data set: image sizes and parts, to compare merged files with
        self._sizes: dict[str, dict[str, tuple[int, int]]] = {}
        self._part_of: dict[str, dict[str, str]] = {}
        self._parts_of_subject: dict[tuple[str, str], set[str]] = {}
        self._parts_of_digest: dict[str, set[str]] = {}
        self._names_of_digest: dict[str, str] = {}
        self._good_masks: set[int] = set()

    def dataset(self, folder: DatasetFolder) -> None:
        """Check the files of one data set."""
        try:
            images = ImageFolder(folder, pixels=self._pixels)
        except AnnotationError as error:
            self._report.add('damaged files', str(error))
            return
        for name, fault in images.faults:
            self._report.add(fault, f'{folder.name}/images/{name}')
        contents: dict[tuple[str, bool], CocoContent] = {}
        listed: set[str] = set()
        is_damaged = False
        for part in ('', *PARTS):
            for is_view in (False, True) if part else (False,):
                path = folder.coco_path(part, agnostic=is_view)
                content = self._read(path, part)
                if content is None:
                    is_damaged |= path.is_file()
                    continue
                contents[part, is_view] = content
                self._records(content, images)
                listed.update(image['file_name'] for image in content.images)
        if ('', False) in contents and not is_damaged:
            for name in sorted(images.names - listed):
                self._report.add('images in no annotation file', f'{folder.name}/images/{name}')
        self._compare(folder, contents)
        self._note_parts(folder, contents, images)
        self._class_lists(folder, contents, images)
        self._sizes[folder.name] = {
            image['file_name']: (image['height'], image['width'])
            for (_, is_view), content in contents.items()
            if not is_view
            for image in content.images
        }
        self._part_of[folder.name] = {
            image['file_name']: part
            for (part, is_view), content in contents.items()
            if part and not is_view
            for image in content.images
        }

    def _read(self, path: Path, part: str) -> CocoContent | None:
        if not path.is_file():
            return None
        self._report.counts['files'] += 1
        try:
            content = read_coco(path, allow_empty=part in ('', 'test'))
        except UnsafeNameError as error:
            self._report.add('names that leave the root', str(error))
            return None
        except AnnotationError as error:
            self._report.add('damaged files', str(error))
            return None
        for note in content.notes:
            self._report.add('records that other readers refuse', note)
        return content

    def _records(self, content: CocoContent, images: ImageFolder) -> None:
        """Check the images and masks that a file names."""
        sizes = {}
        for image in content.images:
            size = (image['height'], image['width'])
            sizes[image['id']] = size
            found = images.facts(image['file_name'])
            where = f'{content.path.name}: {image["file_name"]}'
            if found is None:
                self._report.add('images that are missing', where)
            elif found.size_hw is not None and found.size_hw != size:
                self._report.add('images of another size', f'{where} is {found.size_hw}, not {size}')
        self._report.counts['images'] += len(content.images)
        self._masks(content.path, content.annotations, sizes)

    def _masks(
        self, path: Path, annotations: Iterable[dict[str, Any]], sizes: Mapping[int, tuple[int, int]]
    ) -> None:
        checks = MaskChecks(sizes, self._good_masks)
        for annotation in annotations:
            for id_, fault in checks.add(annotation):
                self._report.add(fault, f'{path.name}: annotation {id_}')
        for id_, fault in checks.finish():
            self._report.add(fault, f'{path.name}: annotation {id_}')
        self._report.counts['masks'] += checks.masks

    def _compare(self, folder: DatasetFolder, contents: Mapping[tuple[str, bool], CocoContent]) -> None:
        """See that the files of a data set agree with each other."""
        main = contents.get(('', False))
        for (part, is_view), content in contents.items():
            categories = [(one['id'], one['name']) for one in content.categories]
            if is_view:
                if categories != [(OBJECT['id'], OBJECT['name'])]:
                    self._report.add('categories that differ', f'{content.path.name}: {categories}')
                source = contents.get((part, False))
                if source is None or _outline(source) != _outline(content):
                    self._report.add('views of other files', f'{content.path.name}: create it again')
            elif main is not None and categories != [(one['id'], one['name']) for one in main.categories]:
                self._report.add('categories that differ', f'{content.path.name}: {categories}')
        if main is not None and (('train', False) in contents or ('val', False) in contents):
            self._compare_parts(folder, main, contents)

    def _compare_parts(
        self,
        folder: DatasetFolder,
        main: CocoContent,
        contents: Mapping[tuple[str, bool], CocoContent],
    ) -> None:
        whole = {image['file_name'] for image in main.images}
        used: set[str] = set()
        for part in ('train', 'val'):
            content = contents.get((part, False))
            if content is None:
                continue
            names = {image['file_name'] for image in content.images}
            for name in sorted(names - whole)[:_SHOWN]:
                self._report.add('images of no data set', f'{content.path.name}: {name}')
            used |= names
        if whole - used:
            self._report.notes.append(
                f'{folder.name}: {len(whole - used)} images are in neither train nor val'
            )

    def _note_parts(
        self,
        folder: DatasetFolder,
        contents: Mapping[tuple[str, bool], CocoContent],
        images: ImageFolder,
    ) -> None:
        release = folder.facts().release
        for part in PARTS:
            content = contents.get((part, False))
            for image in content.images if content is not None else ():
                key = (release, subject_of(image))
                self._parts_of_subject.setdefault(key, set()).add(part)
                found: ImageFacts | None = images.facts(image['file_name'])
                if found is not None and found.sha256:
                    name = f'{folder.name}/{image["file_name"]}'
                    first = self._names_of_digest.setdefault(found.sha256, name)
                    if first != name:
                        self._report.counts['images that are the same as another'] += 1
                    self._parts_of_digest.setdefault(found.sha256, set()).add(part)

    def _class_lists(
        self,
        folder: DatasetFolder,
        contents: Mapping[tuple[str, bool], CocoContent],
        images: ImageFolder,
    ) -> None:
        """Check the lists for classifiers; whom they show must not be in two parts either."""
        plain = {part: content for (part, is_view), content in contents.items() if not is_view}
        for kind, example in list_faults(folder, plain, images.names):
            self._report.add(kind, example)
        subjects = {image['file_name']: subject_of(image) for one in plain.values() for image in one.images}
        release = folder.facts().release
        for part, names in listed_images(folder).items():
            self._report.counts['files'] += bool(names)
            for name in names:
                if name in subjects:
                    key = (release, subjects[name])
                    self._parts_of_subject.setdefault(key, set()).add(part)

    def leaks(self) -> None:
        """Note subjects and images that are in two parts."""
        for (release, subject), parts in self._parts_of_subject.items():
            if len(parts) > 1:
                self._report.add('subjects in two parts', f'{release}: {subject!r} in {_spelled(parts)}')
        for digest, parts in self._parts_of_digest.items():
            if len(parts) > 1:
                name = self._names_of_digest[digest]
                self._report.add('images in two parts', f'{name} or the same image in {_spelled(parts)}')

    def merged(self, path: Path) -> None:
        """Check a file at the root against the data sets, without holding its annotations."""
        self._report.counts['files'] += 1
        try:
            self._merged(path)
        except AnnotationError as error:
            self._report.add('damaged files', str(error))

    def _merged(self, path: Path) -> None:
        sizes: dict[int, tuple[int, int]] = {}
        checks = MaskChecks(sizes, self._good_masks)
        last = 0
        info: dict[str, Any] = {}
        merged: Counter[str] = Counter()
        for section, record in stream_records(path):
            if section == 'head':
                info = record.get('info', info)
            elif section == 'images':
                self._merged_image(path, record, sizes)
                merged[str(record.get('dataset'))] += 1
            elif section == 'annotations':
                if type(record.get('id')) is not int or record['id'] <= last:
                    self._report.add('ids that are not unique', f'{path.name}: {record.get("id")!r}')
                else:
                    last = record['id']
                if record.get('category_id') != OBJECT['id'] or record.get('image_id') not in sizes:
                    self._report.add('annotations of nothing', f'{path.name}: {record.get("id")!r}')
                    continue
                for id_, fault in checks.add(record):
                    self._report.add(fault, f'{path.name}: annotation {id_}')
        for id_, fault in checks.finish():
            self._report.add(fault, f'{path.name}: annotation {id_}')
        self._report.counts['images'] += len(sizes)
        self._report.counts['masks'] += checks.masks
        if not sizes:
            self._report.add('damaged files', f'{path}: no images')
        self._missing(path, info, merged)

    def _missing(self, path: Path, info: Mapping[str, Any], merged: Mapping[str, int]) -> None:
        """See that a merged file has every image of its part: of all data sets, or of those it says it has."""
        part = _part_of_merged(path)
        is_whole = part and path == merged_path(self._report.corpus.root, part)
        named = self._part_of if is_whole else info.get('datasets')
        for dataset in named if part and isinstance(named, dict | list) else ():
            parts = self._part_of.get(str(dataset), {})
            lacking = sum(one == part for one in parts.values()) - merged.get(str(dataset), 0)
            if lacking > 0:
                self._report.add(
                    'images of a part that are not merged', f'{path.name}: {lacking} of {dataset}', lacking
                )

    def _merged_image(self, path: Path, record: Mapping[str, Any], sizes: dict[int, tuple[int, int]]) -> None:
        id_, name = record.get('id'), record.get('file_name')
        where = f'{path.name}: {name!r}'
        if type(id_) is not int or id_ in sizes:
            self._report.add('ids that are not unique', f'{path.name}: image {id_!r}')
            return
        height, width = record.get('height'), record.get('width')
        sizes[id_] = (height, width) if type(height) is type(width) is int else (0, 0)
        if fault := name_fault(name):
            self._report.add('names that leave the root', f'{where} {fault}')
            return
        dataset, _, rest = str(name).partition('/images/')
        size = self._sizes.get(dataset, {}).get(rest)
        if size is None:
            self._report.add('images of no data set', where)
        elif size != sizes[id_]:
            self._report.add('images of another size', f'{where}: {sizes[id_]}, not {size}')
        elif (part := _part_of_merged(path)) and self._part_of[dataset].get(rest) != part:
            # the data set was split anew, and the file is of the split before
            self._report.add('images of another part', f'{where} is in {self._part_of[dataset].get(rest)}')


def _outline(content: CocoContent) -> tuple[list[tuple[int, str]], list[tuple[int, int]]]:
    """Ids of a file: a class-agnostic view has the same."""
    return (
        [(image['id'], image['file_name']) for image in content.images],
        [(annotation['id'], annotation['image_id']) for annotation in content.annotations],
    )


def _part_of_merged(path: Path) -> str:
    """The part that a file at the root is of, by its name; empty where that tells none."""
    part = path.name.split('.')[0]
    return part if part in PARTS else ''


def _spelled(parts: set[str]) -> str:
    return ' and '.join(part for part in PARTS if part in parts)
