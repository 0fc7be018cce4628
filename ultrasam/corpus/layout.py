"""Where the files of a corpus lie: a root, a folder for each data set, and what the tools name their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasam.corpus.classification.files import TABLE
from ultrasam.corpus.facts import DatasetFacts, facts_of
from ultrasam.corpus.manifest import MANIFEST
from ultrasam.errors import AnnotationError, ConfigError, InputError

PARTS = ('train', 'val', 'test')
STATISTICS = 'statistics'
NEAR_DUPLICATES = 'near_duplicates'
Track = Callable[[Sequence[Any], str], Iterable[Any]]
"""Passes items on, one by one, and may show how far it is; the text says what is done with them."""


def untracked(items: Sequence[Any], title: str) -> Iterable[Any]:
    """Items as they are: a :data:`Track` that shows nothing."""
    return items


@dataclass(frozen=True, order=True)
class DatasetFolder:
    """The folder of one converted data set.

    Args:
        name: of the data set, which is the name of the folder.
        path: of the folder.
    """

    name: str
    path: Path

    @property
    def images(self) -> Path:
        """Folder of the images."""
        return self.path / 'images'

    @property
    def annotations(self) -> Path:
        """Folder of the COCO files."""
        return self.path / 'annotations'

    def coco_path(self, part: str = '', *, agnostic: bool = False) -> Path:
        """Path of a COCO file: ``[train.|val.|test.][agnostic.]NAME__coco.json``.

        Args:
            part: ``'train'``, ``'val'`` or ``'test'``; empty for what the converter wrote without a part.
            agnostic: the class-agnostic view of it.
        """
        words = [word for word in (part, 'agnostic' if agnostic else '') if word]
        return self.annotations / '.'.join([*words, f'{self.name}__coco.json'])

    def manifest(self) -> dict[str, Any]:
        """What the converter noted, or nothing where the data set was made by other means.

        Raises:
            AnnotationError: the file is damaged.
        """
        path = self.path / MANIFEST
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text(encoding='utf-8-sig'))
            files = content['files']
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise AnnotationError(f'{path} is damaged ({error}): restore it or make it again') from error
        if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
            raise AnnotationError(
                f'{path} is damaged (its files are not a table): restore it or make it again'
            )
        return dict(content)

    def facts(self) -> DatasetFacts:
        """Return what is known of the dataset, from its manifest or else from the description of its name."""
        return facts_of(self.name, self.manifest())

    def image_digests(self) -> dict[str, str]:
        """SHA-256 of each image by its file name, from the manifest; empty without one."""
        files = self.manifest().get('files', {})
        prefix = 'images/'
        return {name.removeprefix(prefix): sha for name, sha in files.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Corpus:
    """What a root holds.

    Args:
        root: the folder.
        datasets: sorted by name.
        skipped: folders that are no data sets, each with the reason.
    """

    root: Path
    datasets: tuple[DatasetFolder, ...]
    skipped: tuple[str, ...]


def open_corpus(root: Path) -> Corpus:
    """Find the data sets of a root, or take a folder that is itself one.

    Args:
        root: folder of all data sets, or of one.

    Raises:
        InputError: there is no such folder, or no data set in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f'{root}: no such folder: give the folder that holds the converted data sets')
    if (root / 'annotations').is_dir():
        folder = DatasetFolder(root.resolve().name, root)
        if folder.coco_path().is_file():
            return Corpus(root, (folder,), ())
    datasets, skipped = [], []
    for path in sorted(root.iterdir(), key=lambda path: path.name):
        if not path.is_dir() or path.name.startswith('.') or path.name in (STATISTICS, NEAR_DUPLICATES):
            continue
        folder = DatasetFolder(path.name, path)
        if folder.coco_path().is_file():
            datasets.append(folder)
        elif (path / TABLE).is_file():
            skipped.append(f'{path.name}: a set of classified images, no part of a corpus')
        else:
            wanted = folder.coco_path().relative_to(path)
            skipped.append(f'{path.name}: no data set, it has no {wanted}')
    if not datasets:
        raise InputError(
            f'{root}: no data set in it. Each is a folder NAME with annotations/NAME__coco.json; '
            'convert some with `ultrasam data convert`'
        )
    return Corpus(root, tuple(datasets), tuple(skipped))


def check_part(part: str) -> None:
    """See that a part is one that the tools know.

    Raises:
        ConfigError: it is not.
    """
    if part not in PARTS:
        raise ConfigError(f'mode {part!r}: give one of {", ".join(PARTS)}')
