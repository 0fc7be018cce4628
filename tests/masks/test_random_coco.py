"""Random COCO files through our readers, our writer and pycocotools: the same masks, pixel by pixel."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ultrasam.coco.files import publish_coco, read_coco
from ultrasam.coco.records import HeldContent, open_records
from ultrasam.masks.mask_checks import MaskChecks
from ultrasam.masks.run_lengths import MOST_PIXELS, measure_masks, runs_of_text
from ultrasam.masks.segmentation import compressed_rle, decode_segmentation, runs_of_rle, segmentation_fault


def random_mask(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Rectangles and speckle, some of them holes, some at the border; never empty."""
    mask = np.zeros(size_hw, bool)
    height, width = size_hw
    for _ in range(rng.integers(1, 6)):
        (top, bottom), (left, right) = (np.sort(rng.integers(0, side + 1, 2)) for side in (height, width))
        mask[top:bottom, left:right] = rng.random() < 0.7
    if rng.random() < 0.3:
        mask ^= rng.random(size_hw) < 0.1
    if rng.random() < 0.3:
        mask[0] = mask[:, -1] = True
    if not mask.any():
        mask[height // 2, width // 2] = True
    return mask


def runs_of(mask: np.ndarray) -> list[int]:
    flat = np.concatenate([[False], mask.ravel(order='F')])
    return np.diff([0, *np.flatnonzero(np.diff(flat)), mask.size]).tolist()


def random_segmentation(rng: np.random.Generator, size_hw: tuple[int, int]) -> Any:
    kind = rng.integers(3)
    if kind == 0:
        height, width = size_hw
        polygons = rng.uniform(-2, 2 + max(size_hw), (rng.integers(1, 4), 2 * rng.integers(3, 9)))
        polygons[:, ::2] = polygons[:, ::2].clip(-2, width + 2)
        polygons[:, 1::2] = polygons[:, 1::2].clip(-2, height + 2)
        # one that lies in the image
        square = np.array([0, 0, width - 1, 0, width - 1, height - 1, 0, height - 1]) + 0.5
        return [*np.round(polygons, 2).tolist(), square.tolist()]
    mask = random_mask(rng, size_hw)
    if kind == 1:
        return {'size': list(size_hw), 'counts': runs_of(mask)}
    code = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(size_hw), 'counts': code['counts'].decode()}


def random_content(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    sizes = [tuple(int(side) for side in rng.integers(3, 70, 2)) for _ in range(5)]
    images = [
        {'id': n + 1, 'file_name': f'{n}.png', 'height': size[0], 'width': size[1]}
        for n, size in enumerate(sizes)
    ]
    annotations = []
    for number in range(40):
        place = int(rng.integers(len(sizes)))
        one = random_segmentation(rng, sizes[place])
        annotations.append({'id': number + 1, 'image_id': place + 1, 'category_id': 1, 'segmentation': one})
    return {'images': images, 'annotations': annotations, 'categories': [{'id': 1, 'name': 'a'}]}


@pytest.mark.parametrize('seed', range(8))
def test_masks_are_those_of_pycocotools(seed: int, tmp_path: Path) -> None:
    content = random_content(seed)
    theirs = COCO()
    theirs.dataset = json.loads(json.dumps(content))
    theirs.createIndex()
    expected = {id_: theirs.annToMask(one) for id_, one in theirs.anns.items()}
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(content), encoding='utf-8')
    read = read_coco(path)
    with publish_coco(tmp_path / 'b.json', {'categories': read.categories}, overwrite=False) as writer:
        for image in read.images:
            writer.add_image(image)
        for one in read.annotations:
            writer.add_annotation(one)
    indexed = open_records(HeldContent((tmp_path / 'b.json').read_bytes(), 'b.json'))
    sizes = {image['id']: (image['height'], image['width']) for image in content['images']}
    checks, faults, seen = MaskChecks(sizes, set()), [], 0
    for number in range(len(indexed)):
        size = sizes[indexed.image(number)['id']]
        for one in indexed.annotations(number, size):
            mask = expected[one['id']]
            seen += 1
            np.testing.assert_array_equal(decode_segmentation(one['segmentation'], *size), mask)
            assert one['area'] == mask.sum()
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert one['bbox'] == box
            faults += checks.add(one)
            rle = compressed_rle(one['segmentation'], *size)
            assert runs_of_rle(rle, *size).tolist() == runs_of(mask.astype(bool))
    assert seen == len(content['annotations'])
    assert [*faults, *checks.finish()] == []


def test_the_first_difference_is_that_of_the_fourth_run() -> None:
    """Stated by pycocotools' own code of runs that grow, so that a difference taken one run early shows."""
    runs = [3, 10, 20, 40, 80, 160, 47]
    code = coco_mask.frPyObjects({'size': [36, 10], 'counts': runs}, 36, 10)['counts']
    assert runs_of_text(code).tolist() == runs
    assert runs_of_text(code.decode()).tolist() == runs


def test_one_limit_of_pixels_for_readers_and_masks() -> None:
    from ultrasam.io.readers import open_frames

    assert inspect.signature(open_frames).parameters['max_pixels'].default == MOST_PIXELS
    height, width = 9000, 8000
    rle = coco_mask.frPyObjects(
        {'size': [height, width], 'counts': [5, 7, height * width - 12]}, height, width
    )
    rle['counts'] = rle['counts'].decode()
    assert segmentation_fault(rle, height, width) is None
    assert measure_masks([rle['counts']], np.array([[height, width]])).areas.tolist() == [7]
    assert 'larger than' in segmentation_fault({'size': [10001, 10000], 'counts': 'a'}, 10001, 10000)
    assert 'larger than' in segmentation_fault([[0, 0, 5, 0, 5, 5]], 10001, 10000)
