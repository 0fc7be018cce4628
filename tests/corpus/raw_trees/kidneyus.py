"""kidneyUS: images in an archive, regions of two sonographers in tables of the VGG Image Annotator."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save, speckle, write, zip_folder

SHOWS = (
    'the capsule of the first sonographer, and nothing else, is the kidney',
    'a file that the table lists twice gives one kidney',
    'an image that was judged unusable, without regions, is left out and counted',
    'images with one number in front share a subject',
)
COLUMNS = (
    *('filename', 'file_size', 'file_attributes', 'region_count', 'region_id'),
    *('region_shape_attributes', 'region_attributes'),
)


def polygon(top: int, left: int, bottom: int, right: int) -> dict:
    return {
        'name': 'polygon',
        'all_points_x': [left, right, right, left],
        'all_points_y': [top, top, bottom, bottom],
    }


def write_labels(path: Path, regions: list[tuple[str, int, dict, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='', encoding='utf-8') as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for name, size, shape, anatomy in regions:
            attributes = json.dumps({'Anatomy': anatomy} if anatomy else {})
            table.writerow([name, size, '{"Quality":"Good"}', 1, 0, json.dumps(shape), attributes])


def build(folder: Path) -> Tree:
    names = {
        '1_IM-0001-0059_anon.png': (box(10, 10, 40, 50), '1'),
        '100_IM-0246-0030_anon.png': (box(12, 20, 44, 60), '100'),
        '100_IM-0246-0082_anon.png': (box(15, 22, 50, 66), '100'),
    }
    regions = [
        ('1_IM-0001-0059_anon.png', 1, polygon(10, 10, 40, 50), 'Capsule'),
        ('1_IM-0001-0059_anon.png', 1, polygon(20, 20, 30, 40), 'Central Echo Complex'),
        ('100_IM-0246-0030_anon.png', 1, polygon(12, 20, 44, 60), 'Capsule'),
        ('100_IM-0246-0082_anon.png', 1, polygon(15, 22, 50, 66), 'Capsule'),
        ('100_IM-0246-0082_anon.png', 2, polygon(15, 22, 50, 66), 'Capsule'),
        ('9_IM-0100-0001_anon.png', 1, {}, ''),
    ]
    images = folder / 'images'
    pictures = []
    for seed, (name, (mask, case)) in enumerate(names.items()):
        save(images / name, speckle(seed))
        pictures.append(Picture(name, (Object('kidney', mask),), None, case, pixels=speckle(seed)))
    save(images / '9_IM-0100-0001_anon.png', speckle(5))
    source = folder / 'source'
    zip_folder(images, source / 'kidneyUS_images_14_june_2022.zip')
    write_labels(source / 'labels' / 'reviewed_labels_1.csv', regions)
    write_labels(
        source / 'labels' / 'reviewed_labels_2.csv',
        [(name, 1, polygon(5, 5, 60, 70), 'Capsule') for name in names],
    )
    save(source / 'labels' / 'reviewed_masks_1' / 'capsule' / '1_IM-0001-0059_anon.png', disc(20, 20, 5))
    write(source / 'Datasheet for Data Set.pdf', 'a text')
    left_out = {'the second sonographer': 1, 'the labels as masks': 1, 'documentation': 1, 'no objects': 1}
    return Tree(source, tuple(pictures), left_out)
