"""Writing simulated frames as a COCO dataset, in parallel and all or nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.errors import ConfigError, UltraSamError
from ultrasam.processes import in_order
from ultrasam.simulation.frame import CATEGORIES, SimulatedFrame, SimulationSettings
from ultrasam.simulation.simulator import simulate_frame

Progress = Callable[[int, int], None]
"""Called with the number of frames done and the number of all."""


@dataclass(frozen=True)
class FrameOrder:
    """A frame to be made: its seed and settings."""

    seed: int
    settings: SimulationSettings


def frame_seed(dataset_seed: int, index: int) -> int:
    """The 128-bit seed of one frame of a dataset; seeds of different datasets do not meet."""
    words = np.random.SeedSequence(dataset_seed, spawn_key=(index,)).generate_state(2, np.uint64)
    return int(words[0]) << 64 | int(words[1])


def dataset_orders(
    num_frames: int,
    seed: int,
    *,
    size: int | tuple[int, int] = 256,
    lesions: str | None = None,
    most_lesions: int = 1,
) -> list[FrameOrder]:
    """The frames of a dataset.

    Args:
        num_frames: How many.
        seed: Seed of the dataset.
        size: Long side in pixels, or the smallest and largest long side to draw from.
        lesions: A set of classes of lesions, see :class:`SimulationSettings`.
        most_lesions: How many of them a frame shows at most.

    Raises:
        ConfigError: If there is nothing to make, the seed is negative or an argument makes no sense.
    """
    if num_frames < 1 or seed < 0:
        raise ConfigError(
            f'num_frames={num_frames}, seed={seed}: ask for at least one frame and a seed from 0 on.'
        )
    low, high = (size, size) if isinstance(size, int) else size
    if low > high:
        raise ConfigError(f'size={size}: the smallest long side comes first.')
    orders = []
    for index in range(num_frames):
        own = frame_seed(seed, index)
        side = low + own % (high - low + 1)
        settings = SimulationSettings(size=side, lesions=lesions, most_lesions=most_lesions)
        orders.append(FrameOrder(own, settings))
    return orders


def write_coco_dataset(
    out_dir: Path,
    num_frames: int,
    seed: int,
    *,
    size: int | tuple[int, int] = 256,
    lesions: str | None = None,
    most_lesions: int = 1,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Simulate a dataset: ``out_dir/images/*.png`` and ``out_dir/annotations.json``.

    With ``lesions`` there is also ``out_dir/image_classes.txt``, see :func:`class_list`.

    Args:
        out_dir: A folder that does not exist yet; it appears only when it is complete.
        num_frames: How many frames.
        seed: Seed of the dataset; the result depends on it and on the arguments up to ``most_lesions`` alone.
        size: Long side in pixels, or the smallest and largest long side to draw from.
        lesions: A set of classes of lesions, see :class:`SimulationSettings`.
        most_lesions: How many of them a frame shows at most.
        jobs: Number of processes.
        progress: Told about each finished frame.

    Returns:
        The path of the annotation file.

    Raises:
        ConfigError: If ``out_dir`` exists or an argument makes no sense.
        UltraSamError: If an image cannot be written.
    """
    orders = dataset_orders(num_frames, seed, size=size, lesions=lesions, most_lesions=most_lesions)
    return write_frames(Path(out_dir), orders, jobs=jobs, progress=progress)


def write_frames(
    out_dir: Path,
    orders: Sequence[FrameOrder],
    *,
    jobs: int = 1,
    compression: int = 3,
    progress: Progress | None = None,
) -> Path:
    """Simulate given frames into a new dataset folder.

    Args:
        out_dir: A folder that does not exist yet.
        orders: The frames, in the order of their ids.
        jobs: Number of processes.
        compression: PNG compression from 0 (fast) to 9 (small).
        progress: Told about each finished frame.

    Returns:
        The path of the annotation file.

    Raises:
        ConfigError: If ``out_dir`` exists, ``jobs`` is below 1, there are no frames to make, or their lesions are of
            different sets of classes.
        UltraSamError: If an image cannot be written.
    """
    if out_dir.exists():
        raise ConfigError(f'{out_dir} exists already; choose another folder or remove it first.')
    if jobs < 1 or not orders:
        raise ConfigError(
            f'jobs={jobs} for {len(orders)} frames: at least one process and one frame are needed.'
        )
    sets = {order.settings.lesions for order in orders}
    if len(sets) > 1:
        raise ConfigError(
            f'lesions={sorted(map(str, sets))}: the frames of a dataset share one set of classes.'
        )
    categories = orders[0].settings.categories
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f'.{out_dir.name}.', suffix='.tmp', dir=out_dir.parent))
    try:
        (scratch / 'images').mkdir()
        work = partial(_write_one, scratch / 'images', compression)
        records: list[dict[str, Any]] = []
        for record in in_order(work, list(enumerate(orders)), jobs=jobs, together=8):
            records.append(record)
            if progress is not None:
                progress(len(records), len(orders))
        coco = _coco(records, categories)
        text = json.dumps(coco, separators=(',', ':'), sort_keys=True)
        (scratch / 'annotations.json').write_text(text + '\n', encoding='utf-8')
        if sets != {None}:
            (scratch / 'image_classes.txt').write_text(class_list(coco), encoding='utf-8')
        scratch.chmod(0o755)
        scratch.rename(out_dir)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return out_dir / 'annotations.json'


def _write_one(folder: Path, compression: int, numbered: tuple[int, FrameOrder]) -> dict[str, Any]:
    """Simulate and write one frame; return its COCO image entry with the annotations in it."""
    index, order = numbered
    frame = simulate_frame(order.seed, settings=order.settings)
    name = f'frame_{index:06d}.png'
    image = frame.image if frame.image.ndim == 2 else frame.image[..., ::-1]
    done, data = cv2.imencode('.png', np.ascontiguousarray(image), [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not done:
        raise UltraSamError(f'{name} could not be encoded as PNG.')
    (folder / name).write_bytes(data.tobytes())
    return coco_record(index, name, frame, order.settings.categories)


def coco_record(
    index: int, file_name: str, frame: SimulatedFrame, categories: Sequence[str] = CATEGORIES
) -> dict[str, Any]:
    """The COCO image entry of a frame, with its annotations (still without ids) under ``annotations``."""
    height, width = frame.image.shape[:2]
    annotations = []
    for mask, category, attributes in zip(frame.masks, frame.categories, frame.attributes, strict=True):
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        annotations.append(
            {
                'image_id': index + 1,
                'category_id': categories.index(category) + 1,
                'iscrowd': 0,
                'area': int(coco_mask.area(rle)),
                'bbox': [float(value) for value in coco_mask.toBbox(rle)],
                'segmentation': {'size': [height, width], 'counts': rle['counts'].decode('ascii')},
                'attributes': attributes,
            }
        )
    return {
        'id': index + 1,
        'file_name': file_name,
        'height': height,
        'width': width,
        'subject_id': f'phantom_{index:06d}',
        'acquisition': frame.meta,
        'annotations': annotations,
    }


def class_list(coco: dict[str, Any]) -> str:
    """List the classes of each frame: a line with its file name, a blank and the index of its class.

    Classes are counted from 0 in the order of the categories. A frame with several has their indices joined by commas,
    a list that ``ClassListDataset`` reads with ``multi_label``.

    Args:
        coco: The dataset; file names are relative to its folder of images.
    """
    place = {category['id']: index for index, category in enumerate(coco['categories'])}
    found: dict[int, set[int]] = {image['id']: set() for image in coco['images']}
    for annotation in coco['annotations']:
        found[annotation['image_id']].add(place[annotation['category_id']])
    return ''.join(
        f'{image["file_name"]} {",".join(str(index) for index in sorted(found[image["id"]]))}\n'
        for image in coco['images']
    )


def _coco(records: list[dict[str, Any]], categories: Sequence[str]) -> dict[str, Any]:
    """Assemble a COCO dictionary and number the annotations."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in records:
        entry = dict(record)
        for annotation in entry.pop('annotations'):
            annotations.append({'id': len(annotations) + 1, **annotation})
        images.append(entry)
    return {
        'info': {'description': 'Simulated B-mode ultrasound phantoms', 'version': '1.0'},
        'licenses': [
            {'id': 1, 'name': 'CC0-1.0', 'url': 'https://creativecommons.org/publicdomain/zero/1.0/'}
        ],
        'images': images,
        'annotations': annotations,
        'categories': [
            {'id': number, 'name': name, 'supercategory': 'structure'}
            for number, name in enumerate(categories, start=1)
        ],
    }
