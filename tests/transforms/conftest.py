"""A tiny COCO set on disk, and the pipelines of the shipped configs."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask


def rle_of(mask: np.ndarray) -> dict:
    """Compressed RLE with text counts, as JSON holds it."""
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(rle['size']), 'counts': rle['counts'].decode()}


def uncompressed_rle_of(mask: np.ndarray) -> dict:
    """Uncompressed RLE of a mask."""
    flat = np.concatenate([[0], mask.astype(np.int8).ravel(order='F')])
    changes = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], changes, [mask.size]]))
    return {'size': list(mask.shape), 'counts': runs.tolist()}


def disc(height: int, width: int, centre_xy: tuple[int, int], radius: int) -> np.ndarray:
    """Mask of a disc."""
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, centre_xy, radius, 1, cv2.FILLED)
    return mask


@pytest.fixture
def coco_content() -> dict:
    """Two images, three annotations of one category."""
    masks = [disc(60, 80, (30, 30), 12), disc(60, 80, (60, 25), 8), disc(50, 40, (20, 20), 10)]
    annotations = []
    for id_, (image_id, mask) in enumerate(zip((1, 1, 2), masks, strict=True), start=1):
        rle = rle_of(mask)
        annotations.append(
            dict(
                id=id_,
                image_id=image_id,
                category_id=1,
                iscrowd=0,
                segmentation=rle,
                bbox=coco_mask.toBbox(rle).tolist(),
                area=int(mask.sum()),
            )
        )
    images = [
        dict(id=1, file_name='a.png', height=60, width=80),
        dict(id=2, file_name='b.png', height=50, width=40),
    ]
    return dict(images=images, annotations=annotations, categories=[dict(id=1, name='object')])


@pytest.fixture
def write_set(tmp_path: Path):
    """Write images and annotation file of a COCO content; returns the folder."""

    def write(content: dict) -> Path:
        (tmp_path / 'images').mkdir(exist_ok=True)
        rng = np.random.default_rng(0)
        for image in content['images']:
            pixels = rng.integers(0, 256, (image['height'], image['width'], 3), np.uint8)
            cv2.imwrite(str(tmp_path / 'images' / image['file_name']), pixels)
        (tmp_path / 'annotations.json').write_text(json.dumps(content))
        return tmp_path

    return write
