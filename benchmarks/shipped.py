"""Time the checkpoint that ships: encode an image, answer prompts, and many boxes in one call.

Examples:
  python benchmarks/shipped.py
  python benchmarks/shipped.py --boxes 64 --repeats 20
"""

from __future__ import annotations

import argparse
import statistics
import sys

import torch
from timing import in_turns, milliseconds, ratio

from ultrasam.inference import UltraSamInferencer
from ultrasam.simulation import simulate_frame
from ultrasam.structures import ObjectPrompt


def main() -> None:
    """Load the checkpoint and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--repeats', type=int, default=10, help='counted runs of each row (default: 10)')
    parser.add_argument('--boxes', type=int, default=64, help='boxes in one call (default: 64)')
    args = parser.parse_args()
    inferencer = UltraSamInferencer(device='cpu')
    image = simulate_frame(seed=0).image
    height, width = image.shape[:2]
    boxes = [
        ObjectPrompt(box_xyxy=(x := (i % 8) * width / 10, y := (i // 8 % 8) * height / 10, x + 60, y + 50))
        for i in range(args.boxes)
    ]
    inferencer.set_image(image)

    def one_by_one() -> None:
        for box in boxes:
            inferencer.predict(box)

    def encode_each_time() -> None:
        for box in boxes:
            inferencer.set_image(image)
            inferencer.predict(box)

    encode, click, box, together, single, naive = in_turns(
        [
            lambda: inferencer.set_image(image),
            lambda: inferencer.predict(points=[(width / 2, height / 2)]),
            lambda: inferencer.predict(boxes[0]),
            lambda: inferencer.predict(boxes),
            one_by_one,
            encode_each_time,
        ],
        args.repeats,
    )
    n = args.boxes
    sys.stdout.write(
        f'torch {torch.__version__}, {torch.get_num_threads()} threads, float32, '
        f'{inferencer.weights.name}, image of {width} x {height} px\n\n'
        '| what | median (least to most) |\n|---|---|\n'
        f'| encode an image | {milliseconds(encode)} |\n'
        f'| answer a click | {milliseconds(click)} |\n'
        f'| answer a box | {milliseconds(box)} |\n'
        f'| {n} boxes in one call, per box | {milliseconds([t / n for t in together])} |\n'
        f'| {n} calls on the encoded image, per box | {milliseconds([t / n for t in single])} |\n'
        f'| {n} calls that encode each time, per box | {milliseconds([t / n for t in naive])} |\n\n'
        f'One call of {n} boxes is {ratio(together, single)} times as fast as single calls on the encoded image, '
        f'and {ratio(together, naive)} times as fast as calls that encode each time '
        f'(encoding is {statistics.median(encode) / statistics.median(box):.1f} times the cost of a box).\n'
    )


if __name__ == '__main__':
    main()
