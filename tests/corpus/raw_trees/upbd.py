"""UPBD: JPEG images and LabelMe files with labels in pinyin, some of them not in UTF-8."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save, smooth

SHOWS = (
    'overlapping polygons stay whole, each an instance of its own',
    'files that hold Chinese paths as GBK are read',
    'files are paired by their names, not by the path inside the JSON file',
    'names with three numbers: the first one is the patient',
    'the label of a single polygon in the whole set is kept',
)
NAMES = {
    'dongmai': 'artery',
    'jingmai': 'vein',
    'jirouzuzhi': 'muscle',
    'shenjing': 'nerve',
    'zhifang': 'fat',
    'jizhu': 'spine',
}
# label, top, left, bottom, right
SHAPES = {
    '1_2': [('shenjing', 10, 10, 30, 30), ('jirouzuzhi', 20, 15, 50, 60), ('shenjing', 25, 25, 40, 40)],
    '1_10': [('jingmai', 10, 10, 30, 30), ('dongmai', 15, 15, 34, 34)],
    '2_1_0': [('jizhu', 5, 5, 20, 20), ('zhifang', 30, 30, 50, 50)],
    '88_7': [('shenjing', 12, 12, 30, 40)],
}


def build(folder: Path) -> Tree:
    pictures = []
    for seed, (stem, shapes) in enumerate(SHAPES.items()):
        image = smooth(seed)
        path = folder / 'JPEGImages' / f'{stem}.jpg'
        save(path, image.repeat(3).reshape(*image.shape, 3), format='JPEG', quality=95)
        content = {
            'version': '3.16.7',
            'flags': {},
            'shapes': [
                {
                    'label': label,
                    'line_color': None,
                    'fill_color': None,
                    'points': [[left, top], [right, top], [right, bottom], [left, bottom]],
                    'shape_type': 'polygon',
                    'flags': {},
                }
                for label, top, left, bottom, right in shapes
            ],
            'imagePath': '..\\臂丛神经\\1_2.jpg' if seed % 2 else f'{stem}.jpg',
            'imageData': base64.b64encode(path.read_bytes()).decode('ascii'),
        }
        target = folder / 'json_train' / f'{stem}.json'
        target.parent.mkdir(exist_ok=True)
        encoding = 'gbk' if seed % 2 else 'utf-8'
        target.write_bytes(json.dumps(content, ensure_ascii=False, indent=2).encode(encoding))
        pictures.append(
            Picture(
                f'JPEGImages/{stem}.jpg',
                # corners of polygons lie between pixels, as COCO's tools have it
                tuple(
                    Object(NAMES[name], box(top, left, bottom - 1, right - 1))
                    for name, top, left, bottom, right in shapes
                ),
                None,
                stem.split('_')[0],
                pixels=image,
                tolerance=6,
            )
        )
    return Tree(folder, tuple(pictures))
