"""Images a second and core of the input path: ours from PNG and from the cache, beside mmdet's transforms.

The peers are the steps of the published recipe built from mmdet: load, decode whole masks, flip, resize, pack; and the
same with prompts that list every pixel of a mask, and with masks reduced to the size of the loss as the published head
does it, which our steps include. Pixels, boxes, masks and targets are seen to be equal first, and with prompts the
prompts. What is measured is the time of one core; the frames of the sample data set are stored as 8-bit RGB.

Examples:
  python benchmarks/input_path.py
  python benchmarks/input_path.py --full --repeats 20
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import harness
import numpy as np
import torch
from mmdet.registry import TRANSFORMS
from mmengine.registry import init_default_scope

import ultrasam.openmmlab.registry  # noqa: F401
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.models.heads import mask_targets
from ultrasam.openmmlab.transforms import SamplePrompts, draw_prompt
from ultrasam.openmmlab.transforms.sampling import _generator
from ultrasam.structures import Prompt

SAMPLES = Path(__file__).resolve().parents[1] / 'sample_dataset'
SIZES = (1024, 256)
PROMPTS = dict(prompt_probabilities=dict(point=0.5, box=0.5), box_jitter=0.05)
RESIZE = dict(scale=(SIZES[0], SIZES[0]), keep_ratio=True)
MMDET = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='FixScaleResize', **RESIZE),
]
ANNOTATIONS = dict(type='LoadInstanceAnnotations', with_bbox=True, with_mask=True)
FLIP = dict(type='ContiguousRandomFlip', prob=0.5)


class ListedPrompts(SamplePrompts):
    """The prompts of :class:`SamplePrompts` for one draw, from a list of all pixels of each mask."""

    def transform(self, results: dict) -> dict:
        """Add the prompts and the targets."""
        height, width = results['img_shape']
        masks = results['gt_masks'].masks[:, :height, :width]
        rng = _generator()
        results['prompts'] = []
        for box, mask in zip(results['gt_bboxes'].tensor, masks, strict=True):
            ys, xs = np.nonzero(mask)
            draw = draw_prompt(self.recipe, rng)
            if draw.kind == 'point':
                k = int(draw.pixels[0] * len(xs))
                point = np.array([xs[k], ys[k]], np.float64) + draw.shifts[0]
                results['prompts'].append(Prompt(points=point[None], point_labels=[1]))
            else:
                results['prompts'].append(Prompt(box=self._box(box, draw.corners)))
        return results

    @staticmethod
    def _box(box: torch.Tensor, corners: tuple[float, ...]) -> np.ndarray:
        exact = box.double().numpy() + 0.5
        reach = 0.05 * np.tile(exact[2:] - exact[:2], 2)
        return np.sort((exact + (2 * np.asarray(corners) - 1) * reach).reshape(2, 2), axis=0).reshape(4)


def main() -> None:
    """Write the frames, check equality, and time."""
    parser = harness.parser(__doc__, repeats=10)
    parser.add_argument(
        '--data',
        type=Path,
        nargs=2,
        metavar=('IMAGES', 'JSON'),
        help='frames of your own and their COCO file',
    )
    args = parser.parse_args()
    report = harness.Report('input_path', args)
    init_default_scope('mmdet')
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.data:
            measure(report, 'frames given', samples_of(*args.data), Path(folder))
        else:
            for kind in ('grey', 'colour') if args.full else ('grey',):
                place = write_frames(Path(folder) / kind, kind)
                measure(report, f'{kind} frames', samples_of(place, place / 'annotations.json'), Path(folder))
    report.note('decoding alone is part of every row from PNG; the cache is warm and in memory')
    report.finish()


def measure(report: harness.Report, name: str, samples: list[dict], folder: Path) -> None:
    """Rows of one set of frames."""
    cache = dict(folder=str(folder / 'cache'), grey_as_one_channel=True)
    load, sample = dict(type='LoadImageFromFile'), dict(type='SamplePrompts', **PROMPTS)
    pack = dict(type='PackPromptedInputs', target_sizes=SIZES)
    sides = {
        'ours, PNG': [load, ANNOTATIONS, FLIP, dict(type='FixScaleResize', **RESIZE), sample, pack],
        'ours, cache': [
            dict(type='LoadCachedImage', **cache),
            ANNOTATIONS,
            FLIP,
            dict(type='FixScaleResize', **RESIZE),
            sample,
            pack,
        ],
    }
    peers = {
        'mmdet, without prompts and targets': Pipeline([*MMDET, dict(type='PackDetInputs')]),
        'mmdet, all pixels listed': Pipeline([*MMDET, ListedPrompts(**PROMPTS), pack_plain]),
        'decoding alone': lambda sample: decoded(sample['img_path']),
    }
    for side, steps in sides.items():
        ours = Pipeline(steps)
        check(f'{name}: {side}', ours, peers['mmdet, all pixels listed'], samples)
        report.compare(
            f'{name}: {side}',
            {one: over(call, samples) for one, call in {side: ours, **peers}.items()},
            tolerance=float('inf'),
            units=len(samples),
            unit='image',
            clock=time.process_time,
        )


class Pipeline:
    """Steps as a config has them, one after the other."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps]

    def __call__(self, sample: dict) -> dict:
        """The packed sample."""
        results = dict(sample, instances=[dict(instance) for instance in sample['instances']])
        for step in self.steps:
            results = step(results)
        return results


def pack_plain(results: dict) -> dict:
    """Mmdet's packing with prompts, and targets as the head makes them of whole masks."""
    packed = TRANSFORMS.build(dict(type='PackDetInputs'))(results)
    instances = packed['data_samples'].gt_instances
    instances.prompts = results['prompts']
    instances.mask_targets = mask_targets(instances.masks.to_tensor(torch.uint8, 'cpu'), *SIZES)
    return packed


def over(call: Callable[[dict], Any], samples: list[dict]) -> Callable[[], None]:
    """The call for every sample, with the same draws each time."""

    def run() -> None:
        np.random.seed(0)
        for sample in samples:
            call(sample)

    return run


def check(name: str, ours: Pipeline, theirs: Pipeline, samples: list[dict]) -> None:
    """See that both give the same for the same draws."""
    for seed in range(4):
        for sample in samples:
            packed = []
            for pipeline in (ours, theirs):
                np.random.seed(seed)
                packed.append(pipeline(sample))
            gap = harness.difference(packed[0]['inputs'], packed[1]['inputs'])
            truths = [one['data_samples'].gt_instances for one in packed]
            same = all(
                harness.difference(a, b) == 0
                for a, b in zip(*(fields_of(truth) for truth in truths), strict=True)
            )
            if not same or gap:
                sys.exit(f'{name}: {sample["img_path"]} differs (pixels by {gap:g}): nothing timed')


def fields_of(truth: Any) -> list[Any]:
    """What a sample holds, as arrays."""
    prompts = [part for prompt in truth.prompts for part in prompt.tokens()]
    boxes = getattr(truth.bboxes, 'tensor', truth.bboxes)
    return [boxes, truth.labels, truth.masks.masks, truth.mask_targets, *prompts]


def decoded(path: str | Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Pixels of a sample frame, in colour or grey."""
    return np.asarray(cv2.imdecode(np.fromfile(path, np.uint8), flags))


def write_frames(place: Path, kind: str) -> Path:
    """The sample frames as RGB files, each with its largest object, as most of the corpus has one."""
    content = json.loads((SAMPLES / 'annotations.agnostic.json').read_text(encoding='utf-8'))
    place.mkdir(parents=True)
    for image in content['images']:
        pixels = decoded(SAMPLES / 'images' / image['file_name'], cv2.IMREAD_GRAYSCALE)
        shown = cv2.applyColorMap(pixels, cv2.COLORMAP_BONE) if kind == 'colour' else np.dstack([pixels] * 3)
        cv2.imwrite(str(place / image['file_name']), shown)
    by_image: dict[int, dict] = {}
    for annotation in sorted(content['annotations'], key=lambda one: one['area']):
        by_image[annotation['image_id']] = annotation
    content['annotations'] = list(by_image.values())
    (place / 'annotations.json').write_text(json.dumps(content), encoding='utf-8')
    return place


def samples_of(images: Path, annotations: Path) -> list[dict]:
    """Samples as the data set hands them to the pipeline."""
    data = UltraSamCocoDataset(
        ann_file=str(annotations), data_prefix=dict(img=str(images)), class_agnostic=True, pipeline=[]
    )
    return [data.get_data_info(number) for number in range(min(len(data), 200))]


if __name__ == '__main__':
    main()
