"""Contact sheets of converted datasets: images with the outlines of their objects."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_file, publish_folder
from ultrasam.coco.files import read_coco
from ultrasam.corpus.classification.files import TABLE
from ultrasam.corpus.layout import DatasetFolder, Track, open_corpus, untracked
from ultrasam.corpus.statistics import coco_parts
from ultrasam.errors import AnnotationError, ConfigError, InputError
from ultrasam.io.readers.image import read_image
from ultrasam.io.sheets import (
    COLOURS,
    GAP,
    draw_outlines,
    tile_sheet,
    write_caption,
    write_sheets,
)
from ultrasam.io.writers.pictures import png_bytes
from ultrasam.masks.segmentation import decode_segmentation, segmentation_fault

_COLUMNS = 6
_TILE = 240


@dataclass(frozen=True)
class Shown:
    """An image of a sheet.

    Args:
        path: Its file.
        caption: Its part and name.
        objects: Its annotations.
    """

    path: Path
    caption: str
    objects: Sequence[dict[str, Any]]


@dataclass
class CorpusSheets:
    """What was written.

    Args:
        pages: Files of each dataset.
        shown: Images of each on them.
        images: Images of each altogether.
        faults: Images and masks that could not be drawn, a sentence each.
        skipped: Folders that are not datasets, each with the reason.
    """

    pages: dict[str, list[Path]] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    skipped: tuple[str, ...] = ()


def write_corpus_sheets(
    root: Path,
    out: Path,
    *,
    datasets: Sequence[str] = (),
    most: int = 48,
    overwrite: bool = False,
    track: Track = untracked,
) -> CorpusSheets:
    """Write pages of images of each dataset below a folder.

    Args:
        root: Folder of all datasets, or of one.
        out: Folder to write.
        datasets: Names of those to show; all if none is given.
        most: Images of each, evenly over all of its parts; 0 for all.
        overwrite: Replace the folder.
        track: Shows progress.

    Raises:
        AnnotationError: A COCO file that cannot be used.
        ConfigError: A negative number of images.
        InputError: There is no dataset, or none of a name that is given.
        OutputError: The folder is there, or cannot be written.
    """
    if most < 0:
        raise ConfigError(f'{most} images of each dataset: give 1 or more, or 0 for all')
    corpus = open_corpus(root)
    chosen = _choose(corpus.datasets, datasets, root)
    done = CorpusSheets(skipped=corpus.skipped)
    with publish_folder(out, overwrite=overwrite) as folder:
        for number, one in enumerate(chosen):
            listed = list_images(one)
            places = evenly(len(listed), most or len(listed))
            chosen_images = [listed[place] for place in places]
            tiles = _tiles(track(chosen_images, one.name), done.faults)
            # names of datasets may hold what a file name may not
            pages = write_sheets(folder, f'{number:02d}_{_safe(one.name)}', tiles)
            done.pages[one.name] = [out / page.name for page in pages]
            done.shown[one.name], done.images[one.name] = len(places), len(listed)
    return done


def write_sheet(folder: DatasetFolder, target: Path, *, count: int) -> None:
    """Write one sheet of images that lie evenly over a dataset; one that is there is replaced.

    Args:
        folder: Folder of the converted dataset.
        target: PNG file to write.
        count: Images at most.

    Raises:
        AnnotationError: A COCO file that cannot be used.
        OutputError: The file cannot be written.
    """
    listed = list_images(folder)
    faults: list[str] = []
    tiles = list(_tiles([listed[place] for place in evenly(len(listed), count)], faults))
    sheet = tile_sheet(tiles, columns=min(_COLUMNS, max(1, len(tiles))), tile=_TILE)
    with publish_file(target, overwrite=True) as path:
        path.write_bytes(png_bytes(sheet))


def list_images(folder: DatasetFolder) -> list[Shown]:
    """Return the images of a dataset with their annotations, part by part.

    Raises:
        AnnotationError: A COCO file that cannot be used.
    """
    shown = []
    for part, path in coco_parts(folder).items():
        content = read_coco(path, allow_empty=True)
        objects: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for annotation in content.annotations:
            objects[annotation['image_id']].append(annotation)
        for image in content.images:
            name = image['file_name']
            shown.append(Shown(folder.images / name, f'{part} {name}', objects[image['id']]))
    table = folder.path / TABLE
    if table.is_file():
        known = {one.path.name for one in shown}
        with table.open(encoding='utf-8', newline='') as file:
            names = [row['file_name'] for row in csv.DictReader(file)]
        shown += [Shown(folder.images / name, name, ()) for name in names if name not in known]
    return shown


def evenly(number: int, most: int) -> list[int]:
    """Return the places of at most ``most`` items, evenly over all of them.

    Example:
        >>> evenly(9, 3)
        [0, 4, 8]
    """
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(int)).tolist()


def _choose(folders: Sequence[DatasetFolder], names: Sequence[str], root: Path) -> list[DatasetFolder]:
    there = {folder.name: folder for folder in folders}
    unknown = [name for name in names if name not in there]
    if unknown:
        raise InputError(f'{root}: no dataset {", ".join(unknown)} in it; there are {", ".join(there)}')
    return [folder for name, folder in there.items() if not names or name in names]


def _safe(name: str) -> str:
    return ''.join(letter if letter.isalnum() or letter in '-_' else '_' for letter in name)


def _tiles(images: Iterable[Shown], faults: list[str]) -> Iterator[np.ndarray]:
    for image in images:
        try:
            picture = read_image(image.path)
        except InputError as error:
            faults.append(str(error))
            yield write_caption(np.zeros((_TILE - GAP, _TILE - GAP, 3), np.uint8), image.caption)
            continue
        masks, colours = [], []
        for one in image.objects:
            try:
                masks.append(mask_of(one.get('segmentation'), picture.shape[:2]))
                colours.append(COLOURS[(int(one['category_id']) - 1) % len(COLOURS)])
            except AnnotationError as error:
                faults.append(f'{image.path}: {error}')
        yield write_caption(draw_outlines(picture, masks, colours, _TILE - GAP), image.caption)


def mask_of(segmentation: Any, size_hw: tuple[int, ...]) -> np.ndarray:
    """Return the mask (H, W), uint8, of a segmentation.

    Raises:
        AnnotationError: It cannot be decoded; the message says why.
    """
    height, width = size_hw[:2]
    if fault := segmentation_fault(segmentation, height, width):
        raise AnnotationError(fault)
    return decode_segmentation(segmentation, height, width)
