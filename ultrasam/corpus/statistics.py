"""What a corpus holds, in numbers: images, masks, subjects, categories, sizes and shapes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ultrasam.coco.files import CocoContent, read_coco
from ultrasam.corpus.facts import facts_of
from ultrasam.corpus.layout import PARTS, DatasetFolder, Track, open_corpus, untracked
from ultrasam.corpus.subjects import subject_of

# Shares of the image, ten to a factor of 100: from 1/100,000 up to all of it.
AREA_EDGES = tuple(10 ** (power / 5) for power in range(-25, 1))
# Width over height, two to a factor of 2, a square in the middle of its bin: from 1/16 to 16.
ASPECT_EDGES = tuple(2 ** (power / 2 - 0.25) for power in range(-8, 10))
# Longer side of the image in pixels.
SIDE_EDGES = (0, 128, 256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 2048, 4096)
UNSPLIT = 'unsplit'
_COMMON = 5
_MANY = 20


@dataclass
class DatasetStatistics:
    """Counts of one data set, or of all together.

    Args:
        dataset: its name.
        about: title, homepage, licence, citation and organs, as far as they are known.
        subject_known: whether subjects are patients or recordings; None where the converter did not tell.
        images: of each part; ``'unsplit'`` where there are no parts yet.
        masks: of each part.
        subjects: of each part.
        categories: masks of each category.
        category_images: images that show each category.
        sizes_wh: images of each width and height.
        areas: masks by their share of the image, within :data:`AREA_EDGES`.
        aspects: masks by width over height of their box, within :data:`ASPECT_EDGES`.
        masks_per_image: images by how many masks they have; 20 stands for 20 and more.
    """

    dataset: str
    about: dict[str, Any] = field(default_factory=dict)
    subject_known: bool | None = None
    images: Counter[str] = field(default_factory=Counter)
    masks: Counter[str] = field(default_factory=Counter)
    subjects: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    category_images: Counter[str] = field(default_factory=Counter)
    sizes_wh: Counter[tuple[int, int]] = field(default_factory=Counter)
    areas: list[int] = field(default_factory=lambda: [0] * (len(AREA_EDGES) - 1))
    aspects: list[int] = field(default_factory=lambda: [0] * (len(ASPECT_EDGES) - 1))
    masks_per_image: Counter[int] = field(default_factory=Counter)

    def sides(self) -> list[int]:
        """Images by their longer side, within :data:`SIDE_EDGES`."""
        histogram = [0] * (len(SIDE_EDGES) - 1)
        for (width, height), count in self.sizes_wh.items():
            histogram[_bin(SIDE_EDGES, max(width, height))] += count
        return histogram

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        widths = [width for width, _ in self.sizes_wh.elements()]
        heights = [height for _, height in self.sizes_wh.elements()]
        return {
            'dataset': self.dataset,
            **self.about,
            'subject_known': self.subject_known,
            'images': dict(self.images),
            'masks': dict(self.masks),
            'subjects': dict(self.subjects),
            'categories': {
                name: {'masks': self.categories[name], 'images': self.category_images[name]}
                for name in self.categories
            },
            'width': _spread(widths),
            'height': _spread(heights),
            'common_sizes_wh': [[*size, count] for size, count in _most_common(self.sizes_wh)],
            'masks_per_image': {str(key): self.masks_per_image[key] for key in sorted(self.masks_per_image)},
            'area_share': {'edges': list(AREA_EDGES), 'masks': self.areas},
            'aspect': {'edges': list(ASPECT_EDGES), 'masks': self.aspects},
            'longer_side': {'edges': list(SIDE_EDGES), 'images': self.sides()},
        }


def count_corpus(root: Path, *, track: Track = untracked) -> tuple[list[DatasetStatistics], tuple[str, ...]]:
    """Count all data sets of a root: their parts where they are split, else what was converted.

    Args:
        root: folder of all data sets, or of one.
        track: shows progress.

    Returns:
        Counts of each data set by name, and the folders that are no data sets, with the reasons.

    Raises:
        AnnotationError: a COCO file that cannot be used.
        InputError: there is no data set.
    """
    corpus = open_corpus(root)
    return [_count_dataset(folder) for folder in track(corpus.datasets, 'count')], corpus.skipped


def sum_up(counted: Sequence[DatasetStatistics]) -> DatasetStatistics:
    """Counts of all data sets together; categories are told apart by data set."""
    total = DatasetStatistics('all')
    for one in counted:
        for name in ('images', 'masks', 'subjects', 'sizes_wh', 'masks_per_image'):
            getattr(total, name).update(getattr(one, name))
        for name in ('categories', 'category_images'):
            getattr(total, name).update(
                {f'{one.dataset}/{key}': count for key, count in getattr(one, name).items()}
            )
        total.areas = [a + b for a, b in zip(total.areas, one.areas, strict=True)]
        total.aspects = [a + b for a, b in zip(total.aspects, one.aspects, strict=True)]
    return total


def _count_dataset(folder: DatasetFolder) -> DatasetStatistics:
    manifest = folder.manifest()
    counted = DatasetStatistics(folder.name, subject_known=manifest.get('subject_known'))
    for part, path in coco_parts(folder).items():
        content = read_coco(path, allow_empty=True)
        counted.about = counted.about or about_dataset(folder, content, manifest)
        _count_file(content, part, counted)
    return counted


def coco_parts(folder: DatasetFolder) -> dict[str, Path]:
    """COCO files of a data set that hold each image once, by part; ``'unsplit'`` where there are no parts yet."""
    is_split = any(folder.coco_path(part).is_file() for part in ('train', 'val'))
    paths = {part or UNSPLIT: folder.coco_path(part) for part in (PARTS if is_split else ('', 'test'))}
    return {part: path for part, path in paths.items() if path.is_file()}


def about_dataset(folder: DatasetFolder, content: CocoContent, manifest: dict[str, Any]) -> dict[str, Any]:
    """Title, homepage, citation, licence, organs, and what was left out, as far as they are known.

    Args:
        folder: of the data set.
        content: of one of its COCO files.
        manifest: what the converter noted, or nothing.
    """
    facts = {
        key: manifest.get(key) or content.info.get(other) or ''
        for key, other in (('title', 'title'), ('homepage', 'url'), ('citation', 'citation'))
    }
    licences = [one.get('name', '') for one in content.licenses if isinstance(one, dict)]
    return {
        **facts,
        'licence': manifest.get('licence') or ', '.join(licences) or 'not stated',
        'organs': list(facts_of(folder.name, manifest).organs),
        'left_out': manifest.get('counts', {}).get('left_out', {}),
    }


def _count_file(content: CocoContent, part: str, counted: DatasetStatistics) -> None:
    if not content.images:
        return
    names = {category['id']: category['name'] for category in content.categories}
    for name in names.values():
        counted.categories[name] += 0
    sizes = {image['id']: (image['width'], image['height']) for image in content.images}
    counted.images[part] += len(sizes)
    counted.masks[part] += len(content.annotations)
    counted.subjects[part] += len({subject_of(image) for image in content.images})
    counted.sizes_wh.update(sizes.values())
    shown: set[tuple[int, int]] = set()
    per_image: Counter[int] = Counter(dict.fromkeys(sizes, 0))
    for annotation in content.annotations:
        image_id, category_id = annotation['image_id'], annotation['category_id']
        width, height = sizes[image_id]
        counted.categories[names[category_id]] += 1
        shown.add((image_id, category_id))
        per_image[image_id] += 1
        counted.areas[_bin(AREA_EDGES, annotation['area'] / (width * height))] += 1
        box = annotation.get('bbox')
        if box and min(box[2:]) > 0:
            counted.aspects[_bin(ASPECT_EDGES, box[2] / box[3])] += 1
    counted.category_images.update(names[category_id] for _, category_id in shown)
    counted.masks_per_image.update(min(count, _MANY) for count in per_image.values())


def _bin(edges: Sequence[float], value: float) -> int:
    """Place of a value between edges; those beyond go to the ends."""
    return min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2)


def _spread(values: list[int]) -> dict[str, float]:
    if not values:
        return {}
    return {'least': min(values), 'median': math.floor(median(values)), 'most': max(values)}


def _most_common(sizes: Counter[tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    return sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:_COMMON]
