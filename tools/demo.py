"""Segment the sample frames with the shipped checkpoint and show how well the masks fit.

Every structure of the ten simulated sample frames is prompted with its box; the masks are scored against the truth
with the COCO metrics, and a picture of each frame is written.

Examples:
  python tools/demo.py
  python tools/demo.py --out /tmp/demo --prompt point
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from mmengine.runner import Runner

from ultrasam.errors import UltraSamError
from ultrasam.evaluation import prompted
from ultrasam.inference import UltraSamInferencer
from ultrasam.launch import load_run_config
from ultrasam.sheets import tile_sheet

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/UltraSAM/nano/ultrasam_nano_256.py'
CHECKPOINT = ROOT / 'weights/ultrasam_nano_256.pth'
SAMPLES = ROOT / 'sample_dataset'


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


def dice_table() -> str:
    """Dice of the inferencer, which sees images and prompts alone, for points and for boxes."""
    inferencer = UltraSamInferencer(CHECKPOINT)
    frames = list(prompted.encoded_frames(inferencer, SAMPLES / 'annotations.json', SAMPLES / 'images'))
    lines = ['', 'Dice of every structure, without ground truth given:']
    for name, rule in prompted.RULES.items():
        scores = prompted.dice_of_rule(inferencer, frames, rule)
        lines.append(f'  {name:12} mean {np.mean(scores):.3f}   worst {min(scores):.3f}')
    return '\n'.join(lines)


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
        table = dice_table()
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    pictures = sorted((Path(runner.log_dir) / 'pictures').glob('*.*'))
    sheet = args.out / 'contact_sheet.png'
    cv2.imwrite(str(sheet), tile_sheet([cv2.imread(str(path)) for path in pictures], columns=4, tile=480))
    sys.stdout.write(
        f'\nsegm mAP@50 {metrics["coco/segm_mAP_50"]:.3f}, segm mAP {metrics["coco/segm_mAP"]:.3f}\n'
    )
    sys.stdout.write(
        f'{table}\n\n{len(pictures)} pictures: {pictures[0].parent}\nall on one sheet: {sheet}\n'
    )


if __name__ == '__main__':
    main()
