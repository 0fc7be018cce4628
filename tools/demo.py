"""Segment the sample frames with the shipped checkpoint and show how well the masks fit.

First the published evaluation: every structure of the ten simulated frames is prompted with its box, and the masks
are scored with the COCO metrics. Then the predictor of `ultrasam predict`, which is given images and prompts and no
ground truth: the annotations stand in for the user who clicks and draws, and tell afterwards how well the masks fit.

Examples:
  python tools/demo.py
  python tools/demo.py --out /tmp/demo --prompt point
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.runner import Runner

from ultrasam.atomic import publish_bytes
from ultrasam.errors import UltraSamError
from ultrasam.evaluation import prompted
from ultrasam.inference import UltraSamInferencer
from ultrasam.io.sheets import tile_sheet
from ultrasam.io.writers.canvas import text_size, write
from ultrasam.io.writers.pictures import draw_overlay, png_bytes
from ultrasam.openmmlab.launch import load_run_config
from ultrasam.structures import Frame

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/UltraSAM/nano/ultrasam_nano_256.py'
CHECKPOINT = ROOT / 'weights/ultrasam_nano_256.pth'
SAMPLES = ROOT / 'sample_dataset'
COLUMNS = ('point', 'box')
TILE = 560  # pixels a picture


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, default=Path('demo_output'), help='folder of the pictures')
    parser.add_argument(
        '--prompt', choices=['box', 'point'], default='box', help='how each structure is prompted'
    )
    return parser.parse_args()


def dice_table(inferencer: UltraSamInferencer, frames: Sequence[prompted.EncodedFrame]) -> str:
    """Dice of all structures for each kind of prompt: the mean, and that of the worst tenth."""
    lines = [f'  {"Dice":12} {"mean":>6} {"worst tenth":>12}']
    for name, rule in prompted.RULES.items():
        scores = sorted(prompted.dice_of_rule(inferencer, frames, rule))
        worst = np.mean(scores[: max(1, len(scores) // 10)])
        lines.append(f'  {name:12} {np.mean(scores):6.3f} {worst:12.3f}')
    return '\n'.join(lines)


def prompt_sheet(inferencer: UltraSamInferencer, frames: Sequence[prompted.EncodedFrame]) -> np.ndarray:
    """A row for each frame: what the predictor finds from a point, and what from a box; BGR."""
    rng, pictures = np.random.default_rng(0), []
    for frame in frames:
        for name in COLUMNS:
            prompts = [prompted.RULES[name](truth, rng) for truth in frame.truths]
            answer = inferencer.decode(frame.encoded, prompts)
            pictures.append(draw_overlay(Frame(frame.image, SAMPLES), answer)[..., ::-1])
    sheet = tile_sheet(pictures, columns=len(COLUMNS), tile=TILE)
    head = np.zeros((TILE // 12, sheet.shape[1], 3), np.uint8)
    for column, name in enumerate(COLUMNS):
        text = f'from a {name}'
        place = (column * TILE + (TILE - text_size(text, 0.8)[0]) // 2, head.shape[0] - 14)
        write(head, text, place, (255, 255, 255), 0.8)
    return np.concatenate([head, sheet])


def main() -> None:
    """Run the published evaluation on the sample dataset."""
    args = parse_args()
    prompt = dict(prompt_probabilities={args.prompt: 1.0}, point='centre')
    options = {
        'test_dataloader.dataset.data_root': str(SAMPLES),
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'test_dataloader.dataset.pipeline.3': dict(type='SamplePrompts', stage='test', **prompt),
        'default_hooks.visualization': dict(type='DetVisualizationHook', draw=True, test_out_dir='pictures'),
        'load_from': str(CHECKPOINT),
    }
    sys.stdout.write(
        f'Segmenting the frames of {SAMPLES.name} from {args.prompt} prompts (about half a minute)\n'
    )
    try:
        config = load_run_config(str(CONFIG), work_dir=str(args.out), cfg_options=options)
        runner = Runner.from_cfg(config)
        metrics = runner.test()
        inferencer = UltraSamInferencer(CHECKPOINT)
        frames = list(prompted.encoded_frames(inferencer, SAMPLES / 'annotations.json', SAMPLES / 'images'))
        table = dice_table(inferencer, frames)
        sheet = prompt_sheet(inferencer, frames)
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    pictures = sorted((Path(runner.log_dir) / 'pictures').glob('*.*'))
    target = args.out / 'contact_sheet.png'
    publish_bytes(target, png_bytes(sheet[..., ::-1]), overwrite=True)
    sys.stdout.write(
        f'\nPublished evaluation: segm mAP@50 {metrics["coco/segm_mAP_50"]:.3f}, '
        f'segm mAP {metrics["coco/segm_mAP"]:.3f}; {len(pictures)} pictures: {pictures[0].parent}\n\n'
        'Predictor: it sees the image and the prompt alone; prompts are read off the annotations, as a user\n'
        f'would give them, and masks compared with them.\n{table}\n\n'
        f'point and box beside each other: {target}\n'
    )


if __name__ == '__main__':
    main()
