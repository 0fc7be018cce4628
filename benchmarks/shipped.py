"""Time the checkpoint that ships: encode an image, answer prompts, and many boxes in one call.

Examples:
  python benchmarks/shipped.py
  python benchmarks/shipped.py --boxes 16 --repeats 20
"""

from __future__ import annotations

import harness
import numpy as np

from ultrasam.inference import UltraSamInferencer
from ultrasam.simulation import simulate_frame
from ultrasam.structures import ObjectPrompt

# logits of a batch and of single calls differ by the order in which products are summed
TOLERANCE = 1e-3


def main() -> None:
    """Load the checkpoint and measure."""
    parser = harness.parser(__doc__, repeats=10)
    parser.add_argument('--boxes', type=int, default=64, help='boxes in one call (default: 64)')
    args = parser.parse_args()
    report = harness.Report('shipped', args)
    inferencer = UltraSamInferencer(device='cpu')
    image = simulate_frame(seed=0).image
    height, width = image.shape[:2]
    boxes = [
        ObjectPrompt(box_xyxy=(x := (i % 8) * width / 10, y := (i // 8 % 8) * height / 10, x + 60, y + 50))
        for i in range(args.boxes)
    ]
    inferencer.set_image(image)

    def one_by_one() -> np.ndarray:
        return np.concatenate([inferencer.predict(box).logits for box in boxes])

    def encode_each_time() -> np.ndarray:
        found = []
        for box in boxes:
            inferencer.set_image(image)
            found.append(inferencer.predict(box).logits)
        return np.concatenate(found)

    report.compare('encode an image', {'ours': lambda: inferencer.set_image(image)})
    report.compare(
        'answer a click', {'ours': lambda: inferencer.predict(points=[(width / 2, height / 2)]).logits}
    )
    report.compare('answer a box', {'ours': lambda: inferencer.predict(boxes[0]).logits})
    report.compare(
        f'{args.boxes} boxes',
        {
            'one call': lambda: inferencer.predict(boxes).logits,
            'calls on the encoded image': one_by_one,
            'calls that encode each time': encode_each_time,
        },
        tolerance=TOLERANCE,
        units=args.boxes,
        unit='box',
    )
    report.note(f'{inferencer.weights.name}, image of {width} x {height} px, float32')
    report.finish()


if __name__ == '__main__':
    main()
