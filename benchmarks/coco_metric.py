"""COCO figures counted with faster-coco-eval against pycocotools: times as fast, and how far the figures differ.

Both count the same truth and predictions in turns in one process; what is timed is the counting, masks checked.

Examples:
  python benchmarks/coco_metric.py
  python benchmarks/coco_metric.py --images 5000
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any

import numpy as np
from corpus_tools import blobs
from pycocotools import mask as coco_mask
from timing import in_turns, ratio

from ultrasam.evaluation.coco_metric_figures import CocoSet, count_matches

DETECTIONS = (100, 300, 1000)
OVERLAPS = np.linspace(0.5, 0.95, 10)
REPEATS = 3
PER_IMAGE = 25 / 7
CATEGORIES = 3


def main() -> None:
    """Print a table with a row for each kind of figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=1000, help='images (default: 1000)')
    parser.add_argument('--more', type=int, default=6, help='wrong predictions of an image (default: 6)')
    args = parser.parse_args()
    data = made(args.images, args.more)
    sys.stdout.write(
        f'{args.images:,} images, {len(data.truths):,} truths, {len(data.predictions):,} predictions\n\n'
        '| figures | pycocotools | faster-coco-eval | times as fast | largest difference |\n'
        + '|---' * 5
        + '|\n'
    )
    for kind in ('bbox', 'segm'):
        ours, theirs = (
            partial(count_matches, data, kind, evaluator=evaluator, detections=DETECTIONS, overlaps=OVERLAPS)
            for evaluator in ('faster-coco-eval', 'pycocotools')
        )
        counts = [ours(), theirs()]
        difference = max(
            float(np.abs(counts[0].precision - counts[1].precision).max()),
            float(np.abs(counts[0].recall - counts[1].recall).max()),
        )
        fast, slow = in_turns([ours, theirs], REPEATS)
        cells = [
            f'{np.median(slow):.2f} s',
            f'{np.median(fast):.2f} s',
            ratio(fast, slow),
            f'{difference:.0e}',
        ]
        sys.stdout.write(f'| {kind} | {" | ".join(cells)} |\n')


def made(images: int, more: int) -> CocoSet:
    """Objects of irregular shape, most of them predicted a little beside, and as many wrong ones as asked."""
    rng = np.random.default_rng(0)
    pool = blobs()
    sizes = [list(pool)[place] for place in rng.integers(len(pool), size=images)]
    truths: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for number, size in enumerate(sizes):
        for _ in range(rng.poisson(PER_IMAGE)):
            truth = record(pool[size][rng.integers(len(pool[size]))].moved(rng), number, truths, rng)
            if rng.random() < 0.9:
                near = shifted(truth['segmentation'], rng)
                predictions.append(
                    {**truth, **near, 'id': len(predictions) + 1, 'score': round(rng.beta(5, 2), 3)}
                )
        for _ in range(rng.poisson(more)):
            wrong = record(pool[size][rng.integers(len(pool[size]))].moved(rng), number, predictions, rng)
            wrong['score'] = round(rng.beta(2, 5), 3)
    return CocoSet(sizes, CATEGORIES, truths, predictions)


def record(
    fields: dict[str, Any], image: int, records: list[dict[str, Any]], rng: np.random.Generator
) -> dict[str, Any]:
    """Append a record of a category by chance."""
    made = {
        **fields,
        'id': len(records) + 1,
        'image_id': image,
        'category_id': int(rng.integers(CATEGORIES)),
    }
    records.append(made)
    return made


def shifted(rle: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Fields of a mask a few pixels beside another."""
    mask = np.roll(coco_mask.decode(rle), rng.integers(-4, 5, 2), (0, 1))
    moved = coco_mask.encode(np.asfortranarray(mask))
    return {
        'segmentation': {'size': list(mask.shape), 'counts': moved['counts'].decode()},
        'area': int(mask.sum()),
        'bbox': coco_mask.toBbox(moved).tolist(),
    }


if __name__ == '__main__':
    main()
