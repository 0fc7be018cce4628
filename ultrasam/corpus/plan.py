"""From the files of a source to a list of items: which image, which masks, which subject, which part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ultrasam.corpus.errors import Fault
from ultrasam.corpus.patterns import compiled, natural_key
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.corpus.tables import Row, RowIndex
from ultrasam.corpus.tree import RawTree
from ultrasam.errors import ConfigError, InputError


@dataclass(frozen=True)
class SourceFile:
    """A file of the source.

    Args:
        name: the part of its path that a pattern covers, the same however deep the data lie.
        path: where it is.
        groups: what the pattern names.
    """

    name: str
    path: Path
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """A file with frames and all that belongs to it; one unit of work.

    Args:
        frames: the file.
        groups: of its pattern and of the tables.
        annotations: files of each annotation of the description, in its order.
        rows: rows of tables by name.
        part: ``'train'``, ``'val'`` or ``'test'`` if there is an official split, else ''.
        span: first and last + 1 frame, for files that are shared out; None for the whole file.
    """

    frames: SourceFile
    groups: dict[str, str]
    annotations: tuple[tuple[SourceFile, ...], ...] = ()
    rows: dict[str, list[Row]] = field(default_factory=dict)
    part: str = ''
    span: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """A name of this item that no other one has."""
        return self.frames.name if self.span is None else f'{self.frames.name}[{self.span[0]}:{self.span[1]}]'

    @property
    def files(self) -> list[SourceFile]:
        """All files that the item reads."""
        return [self.frames, *(file for group in self.annotations for file in group)]


@dataclass(frozen=True)
class Plan:
    """What will be converted.

    Args:
        items: in natural order of their names.
        faults: files that cannot be used.
        left_out: how many files or images are not used, by reason.
        unused: files that the description does not mention.
        images: how many files are images, usable or not.
    """

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]
    left_out: Counter[str]
    unused: tuple[str, ...]
    images: int


class _Planner:
    """Builds a plan; one method a step."""

    def __init__(self, spec: DatasetSpec, tree: RawTree, leave_out: Sequence[str]) -> None:
        self.spec = spec
        self.left_out: Counter[str] = Counter()
        self.unwanted = _named_files(tree, leave_out)
        self.faults: list[Fault] = []
        self.used: set[str] = set()
        self.tree = RawTree({path: file for path, file in tree.files.items() if not self._is_left_out(path)})
        self.faults += [Fault(path, 'a link, pipe or device, which is not read') for path in tree.odd]
        self.tables = [self._index(table) for table in spec.tables]
        self.rows = {rows.name: self._index(rows) for rows in spec.rows}

    def _is_left_out(self, path: str) -> bool:
        if path in self.unwanted:
            self.left_out['named by --leave-out'] += 1
            return True
        for pattern, reason in self.spec.leave_out.items():
            if compiled(pattern).match(path):
                self.left_out[reason] += 1
                return True
        return False

    def _index(self, table: Any) -> RowIndex:
        index = RowIndex(table, self.tree)
        self.used.update(index.files)
        return index

    def run(self) -> Plan:
        """Pair, then count what is left over."""
        images = self._unique_images()
        paired = [self._pair(number, images) for number in range(len(self.spec.annotations))]
        items = []
        for name in sorted(images, key=natural_key):
            try:
                item = self._item(images[name], [files.get(name, ()) for files in paired])
            except (ConfigError, InputError) as error:
                self.faults.append(Fault(name, str(error)))
                continue
            if item is not None:
                items.extend(_shared_out(self.spec, item))
        self._note_tables()
        unused = sorted(set(self.tree.files) - self.used, key=natural_key)
        return Plan(tuple(items), tuple(self.faults), self.left_out, tuple(unused), len(images))

    def _note_tables(self) -> None:
        """Count tables that are not there, and rows without an image: once, though a file may serve twice."""
        left: dict[str, int] = {}
        for index in (*self.tables, *self.rows.values()):
            if not index.files:
                self.left_out[f'no table {index.pattern}, so that what it tells is not known'] += 1
            if getattr(index.table, 'whole', False):
                missing = [
                    Fault(file, f'lists {key}, of which there is no image') for file, key in index.unasked
                ]
                self.faults += missing
                continue
            left[index.pattern] = max(left.get(index.pattern, 0), index.without_item)
        self.left_out.update({f'rows of {name} without an image': n for name, n in left.items() if n})

    def _unique_images(self) -> dict[str, SourceFile]:
        images: dict[str, SourceFile] = {}
        for path, name, groups in self.tree.matching(self.spec.frames.pattern):
            self.used.add(path)
            if name in images:
                self.faults.append(Fault(name, f'there twice in the source, the other time as {path}'))
            images.setdefault(name, SourceFile(name, self.tree.files[path], groups))
        return images

    def _pair(self, number: int, images: dict[str, SourceFile]) -> dict[str, tuple[SourceFile, ...]]:
        """Files of one annotation by the name of the image to which they belong."""
        annotation = self.spec.annotations[number]
        pattern = getattr(annotation, 'pattern', None)
        if pattern is None:
            return {}
        shared = sorted(compiled(pattern).names & compiled(self.spec.frames.pattern).names)
        owners: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for name, image in images.items():
            owners[tuple(image.groups[key] for key in shared)].append(name)
        found: defaultdict[str, list[SourceFile]] = defaultdict(list)
        for path, name, groups in self.tree.matching(pattern):
            self.used.add(path)
            file = SourceFile(name, self.tree.files[path], groups)
            of_image = owners.get(tuple(groups[key] for key in shared), [])
            if len(of_image) != 1:
                reason = (
                    f'a mask of {len(of_image)} images that the pattern pairs it with'
                    if of_image
                    else 'no image'
                )
                self.faults.append(Fault(name, f'an annotation with {reason}'))
            else:
                found[of_image[0]].append(file)
        for name, files in found.items():
            doubles = [file for file, count in Counter(f.name for f in files).items() if count > 1]
            self.faults += [Fault(double, f'there twice, for {name}') for double in doubles]
        return {
            name: tuple({file.name: file for file in files[::-1]}.values())[::-1]
            for name, files in found.items()
        }

    def _item(self, image: SourceFile, paired: Sequence[tuple[SourceFile, ...]]) -> Item | None:
        """The item of an image, or None where the description leaves it out."""
        groups = dict(image.groups)
        for table, index in zip(self.spec.tables, self.tables, strict=True):
            taken = _take(table, index.of(groups), is_there=bool(index.files))
            if taken is None:
                self.left_out[f'no row in {table.pattern}'] += 1
                return None
            if set(taken) & set(groups):
                raise ConfigError(
                    f'{table.pattern} gives {sorted(set(taken) & set(groups))}, which are there already'
                )
            groups |= taken
        for name, texts in self.spec.translate.items():
            if groups.get(name) not in texts:
                raise ConfigError(f'{name} = {groups.get(name)!r} is none of {sorted(texts)}')
            groups[name] = texts[groups[name]]
        for annotation, files in zip(self.spec.annotations, paired, strict=True):
            absent = getattr(annotation, 'absent', 'empty')
            if not files and absent == 'fault':
                raise InputError(f'no annotation file {getattr(annotation, "pattern", "")}')
            if not files and absent == 'skip':
                self.left_out['no annotation file'] += 1
                return None
        rows = {name: index.of(groups) for name, index in self.rows.items()}
        part = '' if self.spec.split is None else self.spec.split.part_of(groups)
        return Item(image, groups, tuple(paired), rows, part)


def make_plan(spec: DatasetSpec, tree: RawTree, *, leave_out: Sequence[str] = ()) -> Plan:
    """Pair the files of a source as a description says.

    Args:
        spec: the description.
        tree: the files.
        leave_out: files that are not used, each by the end of its path.

    Raises:
        ConfigError: a file to leave out is not there.
        RawFileError: a table is missing or damaged; nothing can be paired.
    """
    return _Planner(spec, tree, leave_out).run()


def what_is_there(spec: DatasetSpec, plan: Plan) -> str:
    """Say what a source holds in which no image was found."""
    shown = ', '.join(plan.unused[:3])
    if not plan.unused:
        return 'the source holds no file that is not left out'
    wanted = compiled(spec.frames.pattern)
    spelled = [path for path in plan.unused if wanted.match(path, any_case=True)]
    if spelled:
        return f'{len(spelled):,} files match but for upper and lower case, such as {spelled[0]}'
    return f'the source holds {len(plan.unused):,} other files, such as {shown}'


def _named_files(tree: RawTree, names: Sequence[str]) -> set[str]:
    """Paths that end in one of some names, at the border of a folder."""
    found: set[str] = set()
    for name in names:
        wanted = name.replace('\\', '/').removeprefix('./').strip('/')
        paths = {path for path in tree.files if f'/{path}'.endswith(f'/{wanted}')}
        if not paths:
            raise ConfigError(
                f'--leave-out {name}: no file of the source is called so; give the end of its path'
            )
        found |= paths
    return found


def _take(table: Any, rows: list[Row], *, is_there: bool) -> dict[str, str] | None:
    """The groups that a table gives; None: leave the image out."""
    if not is_there:
        return dict.fromkeys(table.take, '')
    if not rows and table.absent != 'fault':
        return None if table.absent == 'skip' else dict.fromkeys(table.take, '')
    if not rows:
        raise InputError(f'no row in the table {table.pattern}')
    values = {name: {str(row[column]).strip() for row in rows} for name, column in table.take.items()}
    differing = [name for name, texts in values.items() if len(texts) > 1]
    if differing:
        raise InputError(f'rows of the table {table.pattern} disagree: {sorted(values[differing[0]])}')
    return {name: texts.pop() for name, texts in values.items()}


def _shared_out(spec: DatasetSpec, item: Item) -> list[Item]:
    """Return an item for each part of a file that is too long for one process, or that holds many subjects."""
    if spec.spans is None:
        return [item]
    return [replace(item, span=span) for span in spec.spans(item.frames)]
