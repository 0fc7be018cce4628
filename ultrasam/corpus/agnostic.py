"""The class-agnostic view of a COCO file: every structure is an object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasam.coco.files import publish_coco, read_coco
from ultrasam.corpus.layout import Corpus, DatasetFolder, Track, check_part, open_corpus, untracked
from ultrasam.errors import InputError, OutputError

OBJECT = {'id': 1, 'name': 'object', 'supercategory': 'none'}


def class_agnostic_view(coco: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the content of a COCO file whose only category is ``object``, and so each annotation's."""
    annotations = [{**annotation, 'category_id': OBJECT['id']} for annotation in coco['annotations']]
    return {**coco, 'categories': [dict(OBJECT)], 'annotations': annotations}


@dataclass(frozen=True)
class AgnosticView:
    """One file that was written.

    Args:
        dataset: its name.
        path: of the file.
        images: how many it has.
        annotations: how many it has.
    """

    dataset: str
    path: Path
    images: int
    annotations: int


def write_agnostic(
    root: Path, part: str, *, overwrite: bool = False, track: Track = untracked
) -> tuple[Corpus, list[AgnosticView]]:
    """Write ``PART.agnostic.NAME__coco.json`` beside ``PART.NAME__coco.json``, which stays as it is.

    Args:
        root: folder of all data sets, or of one.
        part: ``'train'``, ``'val'`` or ``'test'``; data sets without it are passed over.
        overwrite: replace files of other content.
        track: shows progress.

    Returns:
        What the root holds, and the files.

    Raises:
        AnnotationError: a COCO file that cannot be used.
        InputError: no data set has this part.
        OutputError: a file is there already with other content, or cannot be written.
    """
    check_part(part)
    corpus = open_corpus(root)
    for folder in corpus.datasets:
        _drop_stale(folder, part, overwrite=overwrite)
    with_part = [folder for folder in corpus.datasets if folder.coco_path(part).is_file()]
    if not with_part:
        remedy = 'none has an official test part' if part == 'test' else 'run split_coco.py first'
        raise InputError(f'{root}: no data set has a file {part}.NAME__coco.json: {remedy}')
    return corpus, [_write(folder, part, overwrite=overwrite) for folder in track(with_part, part)]


def _drop_stale(folder: DatasetFolder, part: str, *, overwrite: bool) -> None:
    target = folder.coco_path(part, agnostic=True)
    if target.exists() and not folder.coco_path(part).exists():
        if not overwrite:
            raise OutputError(
                f'{target} has no {folder.coco_path(part).name} beside it any more: --overwrite'
            )
        target.unlink()


def _write(folder: DatasetFolder, part: str, *, overwrite: bool) -> AgnosticView:
    content = read_coco(folder.coco_path(part), allow_empty=part == 'test')
    target = folder.coco_path(part, agnostic=True)
    head = {'info': content.info, 'licenses': content.licenses, 'categories': [OBJECT]}
    with publish_coco(target, head, overwrite=overwrite) as writer:
        for image in content.images:
            writer.add_image(image)
        for annotation in content.annotations:
            writer.add_annotation({**annotation, 'category_id': OBJECT['id']})
    return AgnosticView(folder.name, target, writer.images, writer.annotations)
