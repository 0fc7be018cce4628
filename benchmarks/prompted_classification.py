"""Prompted against unprompted classification, on frames with several lesions of different classes.

Every frame shows two or three lesions, each of another class, on speckle. Only a prompt tells which of them is meant:
without one, no model can name the class of a given lesion more often than one in two or three times. Compared are

  prompted      masks and classes from an exact box or one click on each lesion
  whole frame   the same model, trained and tested with a box round the whole frame as prompt of every lesion
  unprompted    an image classifier on the same encoder, trained with each lesion of a frame as its label in turn
  one lesion    that image classifier, trained and tested on frames of one lesion: it can learn what it is asked there

from random weights, with the same encoder, frames a step and learning rate; those without prompts get three times the
steps, which take less processor time. The score is macro F1 over the lesions of frames that were not trained on.

Examples:
  python benchmarks/prompted_classification.py
  python benchmarks/prompted_classification.py --seeds 0 --sides prompted unprompted --threads 1
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

import ultrasam.openmmlab.models.classification_model
import ultrasam.openmmlab.registry
from ultrasam.evaluation.classification import single_label_figures
from ultrasam.structures import Prompt

CONFIGS = Path(__file__).resolve().parents[1] / 'configs/_base_/models'
SIDE = 128
ARCH = dict(embed_dims=64, num_layers=3, num_heads=4, feedforward_channels=128, global_attn_indexes=(0, 1, 2))
CLASSES = ('anechoic', 'bright', 'walled')
BATCH = 4
RATE = 1e-3
# steps for one of a prompted side: without decoder a step takes about a quarter of the processor time
STEPS = {'prompted': 1, 'whole frame': 1, 'unprompted': 3, 'one lesion': 3}
FIRST_TEST_FRAME = 1_000_000


@dataclass(frozen=True)
class LesionFrame:
    """A frame and its lesions.

    Args:
        image: (3, H, W), uint8.
        masks: (N, H, W), uint8.
        boxes: (N, 4), float, xyxy pixels.
        labels: (N,), int64, all different.
    """

    image: torch.Tensor
    masks: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


def draw_frame(seed: int, counts: Sequence[int]) -> LesionFrame:
    """Speckle with lesions of different classes at places of which none tells the class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(len(CLASSES))[: rng.choice(counts)]
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])[rng.permutation(4)[: len(labels)]]
    centres = SIDE * (0.25 + 0.5 * corners) + rng.uniform(-8, 8, corners.shape)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    echo = np.full((SIDE, SIDE), 90.0) * rng.uniform(0.8, 1.2)
    masks, boxes = [], []
    for (y, x), label in zip(centres, labels, strict=True):
        height, width = rng.uniform(11, 19, 2)
        distance = np.hypot((rows - y) / height, (columns - x) / width)
        mask = distance <= 1
        if CLASSES[label] == 'anechoic':
            echo[mask] *= rng.uniform(0.1, 0.3)
        elif CLASSES[label] == 'bright':
            echo[mask] *= rng.uniform(1.6, 2.0)
        else:
            echo[mask & (distance > 0.75)] *= rng.uniform(1.7, 2.1)
        inside_rows, inside_columns = np.nonzero(mask)
        boxes.append(
            [inside_columns.min(), inside_rows.min(), inside_columns.max() + 1, inside_rows.max() + 1]
        )
        masks.append(mask)
    # fully developed speckle has a Rayleigh envelope; a display shows about its square root
    pixels = (echo * np.sqrt(rng.rayleigh(0.8, echo.shape))).clip(0, 255).astype(np.uint8)
    return LesionFrame(
        image=torch.from_numpy(np.repeat(pixels[None], 3, 0)),
        masks=np.stack(masks).astype(np.uint8),
        boxes=np.array(boxes, float),
        labels=labels.astype(np.int64),
    )


def small_config(name: str, options: dict[str, Any]) -> Any:
    """A model of the project with a small encoder and other options."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.merge_from_dict({f'model.{option}': value for option, value in options.items()})
    config.model.backbone.arch = ARCH
    return config.model


class PromptedSide:
    """Masks and classes of prompted lesions.

    Args:
        seed: of the weights.
        whole: prompt every lesion with a box round the whole frame.
    """

    counts = (2, 3)

    def __init__(self, seed: int, *, whole: bool) -> None:
        self.whole = whole
        config = small_config(
            'downstream_prompted_classifier',
            {
                'num_refinements': 0,
                'backbone.img_size': SIDE,
                'prompt_encoder.img_size': SIDE,
                'data_preprocessor.pad_size_divisor': SIDE,
                'bbox_head.num_classes': len(CLASSES),
                'bbox_head.image_dims': ARCH['embed_dims'],
            },
        )
        torch.manual_seed(seed)
        self.model = MODELS.build(config)

    def batch(self, frames: Sequence[LesionFrame], *, with_clicks: bool) -> dict[str, Any]:
        """Inputs of the model; of every second frame, clicks instead of boxes if wanted."""
        samples = []
        for index, frame in enumerate(frames):
            kind = 'whole' if self.whole else 'click' if with_clicks and index % 2 else 'box'
            sample = DetDataSample(
                metainfo=dict(ori_shape=(SIDE, SIDE), img_shape=(SIDE, SIDE), scale_factor=(1.0, 1.0))
            )
            sample.gt_instances = InstanceData(
                prompts=[_prompt(kind, box) for box in frame.boxes],
                masks=BitmapMasks(frame.masks, SIDE, SIDE),
                labels=torch.from_numpy(frame.labels),
            )
            samples.append(sample)
        return dict(inputs=[frame.image for frame in frames], data_samples=samples)

    def loss(self, frames: Sequence[LesionFrame]) -> torch.Tensor:
        """Loss of masks and classes."""
        data = self.model.data_preprocessor(self.batch(frames, with_clicks=True), True)
        return self.model.parse_losses(self.model(**data, mode='loss'))[0]

    def scores(self, frames: Sequence[LesionFrame], *, with_clicks: bool) -> np.ndarray:
        """Class probabilities of every lesion."""
        found = self.model.test_step(self.batch(frames, with_clicks=with_clicks))
        return torch.cat([sample.pred_instances.cls_scores for sample in found]).numpy()


class UnpromptedSide:
    """Classes of whole images.

    Args:
        seed: of the weights.
        counts: lesions of a frame.
    """

    def __init__(self, seed: int, *, counts: Sequence[int]) -> None:
        self.counts = counts
        config = small_config(
            'downstream_classifier_sam',
            {
                'data_preprocessor.pad_size_divisor': SIDE,
                'backbone.img_size': SIDE,
                'backbone.init_cfg': None,
                'head.num_classes': len(CLASSES),
                'head.in_channels': ARCH['embed_dims'],
            },
        )
        torch.manual_seed(seed)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            self.model = ultrasam.openmmlab.models.classification_model.MODELS.build(config)

    def batch(self, frames: Sequence[LesionFrame]) -> dict[str, Any]:
        """Each frame once for each of its lesions, with the class of that as label."""
        pairs = [(frame.image, int(label)) for frame in frames for label in frame.labels]
        return dict(
            inputs=[image for image, _ in pairs],
            data_samples=[DataSample().set_gt_label(label) for _, label in pairs],
        )

    def loss(self, frames: Sequence[LesionFrame]) -> torch.Tensor:
        """Loss of the class."""
        data = self.model.data_preprocessor(self.batch(frames), True)
        return self.model.parse_losses(self.model(**data, mode='loss'))[0]

    def scores(self, frames: Sequence[LesionFrame], *, with_clicks: bool) -> np.ndarray:
        """Class probabilities of the frame of every lesion."""
        return torch.stack([sample.pred_score for sample in self.model.test_step(self.batch(frames))]).numpy()


Side = PromptedSide | UnpromptedSide


def _prompt(kind: str, box: np.ndarray) -> Prompt:
    if kind == 'click':
        return Prompt(points=[(box[:2] + box[2:]) / 2], point_labels=[1])
    return Prompt(box=[0, 0, SIDE, SIDE] if kind == 'whole' else box)


def side_of(name: str, seed: int) -> Side:
    """A side by its name, with weights of a seed."""
    if name in ('prompted', 'whole frame'):
        return PromptedSide(seed, whole=name == 'whole frame')
    return UnpromptedSide(seed, counts=(1,) if name == 'one lesion' else PromptedSide.counts)


def train(side: Side, *, seed: int, steps: int) -> None:
    """Train a side on frames that no other seed sees."""
    model = side.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        first = BATCH * (seed * steps + step)
        loss = side.loss([draw_frame(first + index, side.counts) for index in range(BATCH)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


@torch.no_grad()
def evaluate(side: Side, *, frames: int) -> dict[str, float]:
    """Macro F1 over the lesions of unseen frames, with boxes and with both boxes and clicks."""
    shown = [draw_frame(FIRST_TEST_FRAME + index, side.counts) for index in range(frames)]
    labels = np.concatenate([frame.labels for frame in shown])
    found = {}
    for prompts, with_clicks in (('box', False), ('box or click', True)):
        parts = [side.scores(shown[at : at + 8], with_clicks=with_clicks) for at in range(0, frames, 8)]
        found[prompts] = single_label_figures(np.concatenate(parts), labels).f1
    return found


def main() -> None:
    """Train and test every side with every seed, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sides', nargs='+', choices=tuple(STEPS), default=list(STEPS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--steps', type=int, default=300, help='of 4 frames, thrice as many unprompted (default: 300)'
    )
    parser.add_argument('--frames', type=int, default=120, help='to test on (default: 120)')
    parser.add_argument('--threads', type=int, help='of torch (default: one a core)')
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    init_default_scope('mmdet')
    sys.stdout.write(
        '| side | box F1 (min to max) | box or click F1 | seconds a training |\n|---|---|---|---|\n'
    )
    for name in args.sides:
        results, taken = [], []
        for seed in args.seeds:
            begun = time.process_time()
            side = side_of(name, seed)
            train(side, seed=seed, steps=args.steps * STEPS[name])
            taken.append(time.process_time() - begun)
            results.append(evaluate(side, frames=args.frames))
        cells = [
            f'{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})'
            for values in ([result[kind] for result in results] for kind in ('box', 'box or click'))
        ]
        sys.stdout.write(f'| {name} | {" | ".join(cells)} | {statistics.mean(taken):.0f} |\n')
        sys.stdout.flush()


if __name__ == '__main__':
    main()
