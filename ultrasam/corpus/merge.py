"""The class-agnostic files of all data sets in one, without small objects; memory does not grow with the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultrasam.coco.files import publish_coco, read_coco
from ultrasam.corpus.agnostic import OBJECT
from ultrasam.corpus.facts import KEY
from ultrasam.corpus.layout import Corpus, DatasetFolder, Track, check_part, open_corpus, untracked
from ultrasam.corpus.small_objects import STANDARD_RULE, SmallObjects
from ultrasam.errors import AnnotationError, InputError
from ultrasam.io.writers.coco_stream import CocoWriter


@dataclass
class MergedDataset:
    """What one data set gave.

    Args:
        dataset: its name.
        images: of it in the merged file.
        annotations: of it in the merged file.
        small: objects that were left out because they are small.
        emptied: images whose objects were all small; they stay.
    """

    dataset: str
    images: int = 0
    annotations: int = 0
    small: int = 0
    emptied: int = 0


@dataclass
class MergeReport:
    """What a merged file holds.

    Args:
        path: of the file.
        part: that was merged.
        datasets: that gave something, by name.
        without: data sets that have no such part.
        left_out: data sets that were left out, each with the reason.
        skipped: folders that are no data sets, each with the reason.
    """

    path: Path
    part: str
    datasets: list[MergedDataset] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()

    def total(self, what: str) -> int:
        """Sum over data sets of ``'images'``, ``'annotations'``, ``'small'`` or ``'emptied'``."""
        return sum(getattr(one, what) for one in self.datasets)


def merged_path(root: Path, part: str) -> Path:
    """Where the configs look for the merged file of a part."""
    return root / f'{part}.agnostic.noSmall.coco.json'


def merge_agnostic(
    root: Path,
    target: Path,
    part: str,
    *,
    rule: SmallObjects = STANDARD_RULE,
    left_out: Mapping[str, str] | None = None,
    info: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    track: Track = untracked,
) -> MergeReport:
    """Merge ``PART.agnostic.NAME__coco.json`` of all data sets.

    Ids are counted through, images from 0 and annotations from 1, data sets in the order of their names. File names
    become relative to the root, and each image tells its ``dataset``.

    Args:
        root: folder of all data sets.
        target: file to write.
        part: ``'train'``, ``'val'`` or ``'test'``.
        rule: which objects are too small.
        left_out: data sets to leave out, each with the reason.
        info: more to say in the file's ``info``.
        overwrite: replace a file of other content.
        track: shows progress.

    Raises:
        AnnotationError: a COCO file that cannot be used, or an agnostic file without the one it was made from.
        InputError: there is nothing to merge.
        OutputError: the file is there already with other content, or cannot be written.
    """
    check_part(part)
    report, to_merge = _sort_out(open_corpus(root), target, part, left_out or {})
    if not to_merge:
        raise InputError(
            f'{root}: no data set has a file {part}.agnostic.NAME__coco.json to merge: run split_coco.py and '
            f'create_agnostic_coco.py --mode {part} first'
        )
    head = {
        'info': {
            'description': f'{part}, {len(to_merge)} data sets',
            'datasets': [folder.name for folder in to_merge],
            KEY: {folder.name: folder.facts().as_dict() for folder in to_merge},
            'small_objects': rule.as_dict(),
            **(info or {}),
        },
        'categories': [OBJECT],
    }
    with publish_coco(target, head, overwrite=overwrite) as writer:
        for folder in track(to_merge, f'merge {part}'):
            report.datasets.append(_append(writer, folder, part, rule))
    return report


def _sort_out(
    corpus: Corpus, target: Path, part: str, left_out: Mapping[str, str]
) -> tuple[MergeReport, list[DatasetFolder]]:
    """A report of what will not be merged, and the data sets that will."""
    report = MergeReport(target, part, skipped=corpus.skipped)
    to_merge = []
    for folder in corpus.datasets:
        if folder.name in left_out:
            report.left_out[folder.name] = left_out[folder.name]
        if not _has_part(folder, part):
            report.without.append(folder.name)
        elif folder.name not in left_out:
            to_merge.append(folder)
    return report, to_merge


def _has_part(folder: DatasetFolder, part: str) -> bool:
    source, view = folder.coco_path(part), folder.coco_path(part, agnostic=True)
    if source.is_file() != view.is_file():
        missing, there = (view, source) if source.is_file() else (source, view)
        raise AnnotationError(
            f'{there} is there, {missing.name} is not: run create_agnostic_coco.py --mode {part} --overwrite'
        )
    return source.is_file()


def _append(writer: CocoWriter, folder: DatasetFolder, part: str, rule: SmallObjects) -> MergedDataset:
    content = read_coco(folder.coco_path(part, agnostic=True), allow_empty=part == 'test')
    merged = MergedDataset(folder.name)
    new_ids: dict[int, int] = {}
    sizes: dict[int, tuple[int, int]] = {}
    objects: dict[int, int] = {}
    for image in content.images:
        new_ids[image['id']] = writer.images
        sizes[image['id']] = (image['height'], image['width'])
        writer.add_image(
            {
                **image,
                'id': writer.images,
                'file_name': f'{folder.name}/images/{image["file_name"]}',
                'dataset': folder.name,
            }
        )
    for annotation in content.annotations:
        image_id = annotation['image_id']
        is_small = rule.is_small(annotation['area'], *sizes[image_id])
        objects[image_id] = objects.get(image_id, 0) + (not is_small)
        if is_small:
            merged.small += 1
            continue
        merged.annotations += 1
        writer.add_annotation(
            {
                **annotation,
                'id': writer.annotations + 1,
                'image_id': new_ids[image_id],
                'category_id': OBJECT['id'],
            }
        )
    merged.images = len(content.images)
    merged.emptied = sum(not count for count in objects.values())
    return merged
