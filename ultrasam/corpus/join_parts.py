"""COCO files of the parts of one data set (patients, procedures) joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasam.coco.files import CocoContent, publish_coco, read_coco
from ultrasam.corpus.layout import PARTS, DatasetFolder, Track, untracked
from ultrasam.errors import AnnotationError, InputError


@dataclass
class JoinReport:
    """What became of one data set.

    Args:
        dataset: its name.
        path: of the joined file.
        joined: names of the files that were read; none where the joined file was there and nothing had to be done.
        passed_over: names of other files in the folder, which are results of later steps.
        images: of the joined file.
        annotations: of the joined file.
        notes: what was mended while the files were read.
    """

    dataset: str
    path: Path
    joined: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    images: int = 0
    annotations: int = 0
    notes: list[str] = field(default_factory=list)


def join_folder(folder: Path, *, overwrite: bool = False, track: Track = untracked) -> list[JoinReport]:
    """Join ``NAME__*__coco.json`` into ``NAME__coco.json`` for one data set, or for all of a root.

    Args:
        folder: an ``annotations`` folder, the folder of a data set, or a root of many.
        overwrite: replace a joined file of other content.
        track: shows progress.

    Raises:
        AnnotationError: a file that cannot be used, or files that contradict each other.
        InputError: there is no such folder, or nothing to join.
        OutputError: the joined file is there already with other content, or cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'{folder}: no such folder')
    here = folder.resolve()
    if here.name == 'annotations':
        found = [DatasetFolder(here.parent.name, here.parent)]
    elif (here / 'annotations').is_dir():
        found = [DatasetFolder(here.name, here)]
    else:
        found = [
            DatasetFolder(path.name, path)
            for path in sorted(here.iterdir(), key=lambda path: path.name)
            if (path / 'annotations').is_dir() and not path.name.startswith('.')
        ]
    if not found:
        raise InputError(
            f'{folder}: no folder of annotations: give one, or the folder of a data set, or of all'
        )
    return [_join(one, overwrite=overwrite) for one in track(found, 'join')]


def _join(folder: DatasetFolder, *, overwrite: bool) -> JoinReport:
    target = folder.coco_path()
    report = JoinReport(folder.name, target)
    sources = []
    for path in sorted(folder.annotations.glob('*.json'), key=lambda path: path.name):
        if path == target:
            continue
        is_part = path.name.startswith(f'{folder.name}__') and path.name.endswith('__coco.json')
        if is_part:
            sources.append(path)
        elif path.name.startswith(tuple(f'{part}.' for part in PARTS)):
            report.passed_over.append(path.name)
        else:
            raise AnnotationError(
                f'{path} is called neither {folder.name}__*__coco.json nor after a part of a split: rename or remove it'
            )
    if not sources:
        if not target.is_file():
            raise InputError(f'{folder.annotations}: no file {folder.name}__*__coco.json to join')
        return report
    contents = [read_coco(path, allow_empty=True) for path in sources]
    report.joined = [path.name for path in sources]
    report.notes = [note for content in contents for note in content.notes]
    categories, new_ids = _join_categories(contents, report)
    _refuse_shared_names(contents)
    first = contents[0]
    head = {
        'info': {**first.info, 'description': folder.name},
        'licenses': first.licenses,
        'categories': categories,
    }
    with publish_coco(target, head, overwrite=overwrite) as writer:
        for content, category_ids in zip(contents, new_ids, strict=True):
            image_ids: dict[int, int] = {}
            for image in content.images:
                image_ids[image['id']] = writer.images
                writer.add_image({**image, 'id': writer.images})
            for annotation in content.annotations:
                writer.add_annotation(
                    {
                        **annotation,
                        'id': writer.annotations + 1,
                        'image_id': image_ids[annotation['image_id']],
                        'category_id': category_ids[annotation['category_id']],
                    }
                )
    report.images, report.annotations = writer.images, writer.annotations
    return report


def _join_categories(
    contents: Sequence[CocoContent], report: JoinReport
) -> tuple[list[dict[str, Any]], list[dict[int, int]]]:
    """One list of categories by name, and for each file its ids in that list."""
    joined: dict[str, dict[str, Any]] = {}
    new_ids = []
    taken: set[int] = set()
    for content in contents:
        ids = {}
        for category in sorted(content.categories, key=lambda category: category['id']):
            name = category['name']
            if name not in joined:
                id_ = category['id'] if category['id'] not in taken else max(taken) + 1
                taken.add(id_)
                joined[name] = {**category, 'id': id_}
            known = joined[name]
            if known.get('supercategory') != category.get('supercategory'):
                raise AnnotationError(
                    f'{content.path}: the category {name!r} belongs to {category.get("supercategory")!r}, in other '
                    f'files of the data set to {known.get("supercategory")!r}: give it the same everywhere'
                )
            ids[category['id']] = known['id']
            if known['id'] != category['id']:
                report.notes.append(
                    f'{content.path.name}: category {name!r} has the id {known["id"]}, not {category["id"]}'
                )
        new_ids.append(ids)
    return sorted(joined.values(), key=lambda category: category['id']), new_ids


def _refuse_shared_names(contents: Sequence[CocoContent]) -> None:
    owner: dict[str, Path] = {}
    for content in contents:
        for image in content.images:
            other = owner.setdefault(image['file_name'], content.path)
            if other != content.path:
                raise AnnotationError(
                    f'{content.path} and {other.name} both have the image {image["file_name"]!r}: remove one'
                )
