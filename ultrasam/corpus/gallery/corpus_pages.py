"""The gallery of a corpus: its images with their masks, by data set, organ, part, size and category."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.corpus.coco_files import CocoContent, read_coco
from ultrasam.corpus.gallery.folder import GalleryFolder, address_of, folder_name, open_gallery
from ultrasam.corpus.gallery.pictures import Picture, PictureWriter
from ultrasam.corpus.layout import DatasetFolder, Track, open_corpus, untracked
from ultrasam.corpus.processes import workers_of
from ultrasam.corpus.small_objects import STANDARD_RULE
from ultrasam.corpus.statistics import about_dataset, coco_parts
from ultrasam.corpus.subjects import subject_of
from ultrasam.errors import ConfigError, InputError

# Longer side of the image in pixels: first value of each class but the first.
SIDE_EDGES = (256, 512, 768, 1024)
SIDE_CLASSES = ('under 256 px', '256 to 511 px', '512 to 767 px', '768 to 1023 px', '1024 px and more')
# Share of the image: first value of each class but the first; objects that are dropped as small are a class before.
AREA_EDGES = (0.001, 0.01, 0.1)
AREA_CLASSES = (
    'so small that training drops it',
    'under 0.1 % of the image',
    '0.1 to 1 % of the image',
    '1 to 10 % of the image',
    '10 % of the image and more',
)
_SIGNIFICANT = 6


@dataclass(frozen=True)
class CorpusGalleryReport:
    """What a gallery shows.

    Args:
        path: of its first page.
        shown: images of each data set in the gallery.
        images: of each data set altogether.
        faults: images without a thumbnail and masks that cannot be drawn, by kind.
        examples: an image of each kind.
        removed: files of earlier runs that were removed.
        skipped: folders that are no data sets, each with the reason.
    """

    path: Path
    shown: dict[str, int]
    images: dict[str, int]
    faults: Counter[str]
    examples: dict[str, str]
    removed: int
    skipped: tuple[str, ...]


def write_corpus_gallery(
    root: Path,
    out: Path,
    *,
    datasets: Sequence[str] = (),
    max_per_dataset: int = 0,
    with_views: bool = False,
    jobs: int = 1,
    track: Track = untracked,
) -> CorpusGalleryReport:
    """Write a gallery of a corpus, or bring one up to date: thumbnails of images that did not change stay.

    Args:
        root: folder of all data sets, or of one.
        out: folder of the gallery, which is empty, not there yet, or a gallery of a corpus.
        datasets: names of those to show; all if none is given.
        max_per_dataset: images of each, evenly over every part; 0 for all.
        with_views: copy the images at up to 1024 pixels into the gallery, too. Without, the large view loads the
            images from where they are.
        jobs: number of processes.
        track: shows progress.

    Returns:
        What it shows.

    Raises:
        AnnotationError: a COCO file that cannot be used.
        ConfigError: a negative number of images, or no process.
        InputError: there is no data set, or none of a name that is given.
        OutputError: the folder holds something else, or cannot be written.
    """
    if max_per_dataset < 0:
        raise ConfigError(f'{max_per_dataset} images of each data set: give 1 or more, or 0 for all')
    corpus = open_corpus(root)
    chosen = _choose(corpus.datasets, datasets, root)
    with workers_of(jobs) as workers, open_gallery(out, 'corpus') as gallery:
        pictures = PictureWriter(gallery, workers, with_views=with_views, track=track)
        listed = [_write_dataset(one, gallery, pictures, max_per_dataset) for one in chosen]
        value = {
            'datasets': listed,
            'sides': SIDE_CLASSES,
            'areas': AREA_CLASSES,
            'has_views': with_views,
        }
        gallery.write_script(gallery.subfolder('data') / 'index.js', 'index', value)
        gallery.write_pages()
        removed = gallery.remove_rest()
    return CorpusGalleryReport(
        path=out / 'index.html',
        shown={one['name']: sum(one['shown'].values()) for one in listed},
        images={one['name']: sum(one['images'].values()) for one in listed},
        faults=pictures.faults,
        examples=pictures.examples,
        removed=removed,
        skipped=corpus.skipped,
    )


def evenly(number: int, most: int) -> list[int]:
    """Places of at most so many items, evenly over all of them.

    Example:
        >>> evenly(9, 3)
        [0, 4, 8]
    """
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(int)).tolist()


def side_class(width: int, height: int) -> int:
    """Class of an image by its longer side, a place in :data:`SIDE_CLASSES`."""
    return bisect_right(SIDE_EDGES, max(width, height))


def area_class(area: float, width: int, height: int) -> int:
    """Class of an object by its area in pixels, a place in :data:`AREA_CLASSES`."""
    if STANDARD_RULE.is_small(area, height, width):
        return 0
    return 1 + bisect_right(AREA_EDGES, area / (width * height))


def _choose(folders: Sequence[DatasetFolder], names: Sequence[str], root: Path) -> list[DatasetFolder]:
    there = {folder.name: folder for folder in folders}
    unknown = [name for name in names if name not in there]
    if unknown:
        raise InputError(f'{root}: no data set {", ".join(unknown)} in it; there are {", ".join(there)}')
    return [folder for name, folder in there.items() if not names or name in names]


def _write_dataset(
    folder: DatasetFolder, gallery: GalleryFolder, writer: PictureWriter, most: int
) -> dict[str, Any]:
    """Write the script of a data set; returns its entry in the index."""
    contents = {part: read_coco(path, allow_empty=True) for part, path in coco_parts(folder).items()}
    counts = {part: len(content.images) for part, content in contents.items() if content.images}
    kinds = _categories(contents.values())
    records: list[dict[str, Any]] = []
    pictures: list[Picture] = []
    for part, count in counts.items():
        share = count if not most else max(1, math.floor(most * count / sum(counts.values())))
        places = evenly(count, share)
        _add_records(contents[part], part, places, list(kinds), records, pictures)
    for record, facts in zip(records, writer.write(folder.name, folder.images, pictures), strict=True):
        record.update(facts)
    name = folder_name(folder.name)
    gallery.write_script(gallery.subfolder('data') / f'{name}.js', 'data', records)
    first = next(iter(contents.values()))
    about = about_dataset(folder, first, folder.manifest())
    return {
        'name': folder.name,
        'folder': name,
        **{key: about[key] for key in ('title', 'homepage', 'citation', 'licence', 'organs')},
        'categories': list(kinds),
        'images': counts,
        'shown': dict(Counter(record['part'] for record in records)),
        'address': address_of(folder.images, gallery.path),
    }


def _categories(contents: Any) -> dict[str, None]:
    """Names of the categories of all parts, in the order of the files."""
    return {category['name']: None for content in contents for category in content.categories}


def _add_records(
    content: CocoContent,
    part: str,
    places: Sequence[int],
    kinds: Sequence[str],
    records: list[dict[str, Any]],
    pictures: list[Picture],
) -> None:
    place_of = {category['id']: kinds.index(category['name']) for category in content.categories}
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content.annotations:
        objects[annotation['image_id']].append(annotation)
    for image in (content.images[place] for place in places):
        width, height = image['width'], image['height']
        found = objects[image['id']]
        record = {
            'file': image['file_name'],
            'part': part,
            'size': [width, height],
            'side': side_class(width, height),
            'subject': subject_of(image),
            'objects': [
                [place_of[one['category_id']], _rounded(one['area']), area_class(one['area'], width, height)]
                for one in found
            ],
        }
        extras = {
            'source': image.get('source_file'),
            'frame': image.get('frame'),
            'label': image.get('label'),
            'official': image.get('official_split'),
        }
        records.append(
            record | {key: str(value) for key, value in extras.items() if value is not None and value != ''}
        )
        pictures.append(
            Picture(image['file_name'], (height, width), tuple(one.get('segmentation') for one in found))
        )


def _rounded(area: float) -> float:
    return int(area) if area == int(area) else float(f'{area:.{_SIGNIFICANT}g}')
