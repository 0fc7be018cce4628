"""A converter as they are usually written: unpack, read, write under the final names, the annotations last."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask


def main(source: Path, target: Path, pause_s: float = 0) -> None:
    """Convert images and masks of the tiny data set, with a pause after each."""
    if source.is_file():
        unpacked = tempfile.mkdtemp(dir=target.parent)
        shutil.unpack_archive(source, unpacked)
        source = Path(unpacked)
    (target / 'images').mkdir(parents=True, exist_ok=True)
    (target / 'annotations').mkdir(exist_ok=True)
    content: dict[str, list[dict[str, object]]] = {'images': [], 'annotations': [], 'categories': []}
    for number, path in enumerate(source.rglob('images/*.png')):
        image = cv2.imread(str(path))
        mask = cv2.imread(str(path.parents[1] / 'masks' / path.name), cv2.IMREAD_GRAYSCALE)
        name = f'TINY__{number:05d}.png'
        cv2.imwrite(str(target / 'images' / name), image)
        time.sleep(pause_s)
        content['images'].append({'id': number, 'file_name': name})
        encoded = coco_mask.encode(np.asfortranarray(mask > 127, dtype=np.uint8))
        content['annotations'].append({'image_id': number, 'segmentation': encoded['counts'].decode()})
    with open(target / 'annotations' / 'TINY__coco.json', 'w', encoding='utf-8') as file:
        json.dump(content, file)


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]) / 'TINY', *map(float, sys.argv[3:]))
