"""Train a small model with published and with interactive prompts for the same processor time, and compare Dice.

Both start from the same random weights and see the same simulated frames; what differs is how they are prompted in
training, and that each is then used as it was trained (the published one refines once at inference).

Examples:
  python benchmarks/prompt_sampling.py --out work_dirs/prompt_sampling
  python benchmarks/prompt_sampling.py --out work_dirs/quick --frames 100 --iterations 60
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

from ultrasam.evaluation.evaluate import EvaluationOptions
from ultrasam.openmmlab.evaluation import evaluate
from ultrasam.simulation import write_coco_dataset

ROOT = Path(__file__).resolve().parents[1]
SIZE = 128
SMALL = dict(
    embed_dims=128, num_layers=4, num_heads=4, feedforward_channels=512, global_attn_indexes=[0, 1, 2, 3]
)
SAMPLINGS = {
    'published': (
        dict(
            training_procedure=dict(type='TwoPass'),
            inference_refinements=1,
            point_refinement='predicted_box',
        ),
        dict(prompt_probabilities=dict(point=0.5, box=0.5), num_points=1, box_jitter=0.05),
    ),
    'interactive': (
        dict(training_procedure=dict(type='CorrectiveClicks', rounds=[1, 3])),
        dict(prompt_probabilities=dict(point=0.5, box=0.35, point_box=0.15), num_points=1, box_jitter=0.05),
    ),
}
CLICKS = 8
BOXES = ('box', 'box+point')


def config_of(name: str, out: Path, iterations: int, seed: int) -> Path:
    """The small config of one kind of prompts, as a file."""
    cfg = Config.fromfile(str(ROOT / 'configs/UltraSAM/nano/ultrasam_nano_256.py'))
    model, prompts = SAMPLINGS[name]
    cfg.model.update(model)
    cfg.model.backbone.update(img_size=SIZE, arch=SMALL)
    cfg.model.data_preprocessor.pad_size_divisor = SIZE
    cfg.model.prompt_encoder.img_size = SIZE
    for loader, part in (
        (cfg.train_dataloader, 'train'),
        (cfg.val_dataloader, 'val'),
        (cfg.test_dataloader, 'val'),
    ):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(out / part)
        for step in loader.dataset.pipeline:
            if step['type'] == 'FixScaleResize':
                step['scale'] = (SIZE, SIZE)
            if step['type'] == 'SamplePrompts' and part == 'train' and loader is cfg.train_dataloader:
                # item by item: update would merge the chances with those of the config
                for key, value in prompts.items():
                    step[key] = value
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations + 1)
    warm_up = min(200, iterations // 5)
    cfg.param_scheduler[0].end = cfg.param_scheduler[1].begin = warm_up
    cfg.param_scheduler[1].end = iterations
    cfg.default_hooks.checkpoint.interval = iterations
    cfg.default_hooks.checkpoint.save_best = None
    cfg.randomness = dict(seed=seed)
    path = out / f'{name}_{iterations}_{seed}.py'
    cfg.dump(str(path))
    return path


def train(name: str, out: Path, iterations: int, seed: int) -> tuple[Path, Path, float]:
    """Config, checkpoint and processor seconds of one training."""
    config = config_of(name, out, iterations, seed)
    work_dir = out / config.stem
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with config.with_suffix('.log').open('w', encoding='utf-8') as log:
        subprocess.run(  # noqa: S603
            [sys.executable, str(ROOT / 'tools/train.py'), str(config), '--work-dir', str(work_dir)],
            check=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return config, work_dir / f'iter_{iterations}.pth', seconds


def seconds_per_step(name: str, out: Path, seed: int) -> float:
    """Processor seconds of a step, start-up aside."""
    few, more = (train(name, out, iterations, seed)[2] for iterations in (5, 45))
    return (more - few) / 40


def dice_of(config: Path, checkpoint: Path) -> dict[str, float]:
    """Mean Dice under each kind of prompt, on the test set of the config."""
    results = evaluate(
        config, checkpoint, EvaluationOptions(protocols=('clicks', *BOXES), clicks=CLICKS, device='cpu')
    )
    found = {f'{i + 1} clicks': float(dice) for i, dice in enumerate(results.click_curve('dice').mean(0))}
    return found | {name: float(results.array(name, 'dice').mean()) for name in BOXES}


def main() -> None:
    """Train both, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='new folder for frames, runs and figures')
    parser.add_argument(
        '--frames', type=int, default=1500, help='simulated frames to train on (default: 1500)'
    )
    parser.add_argument(
        '--iterations', type=int, default=3000, help='steps with published prompts (default: 3000)'
    )
    parser.add_argument('--seeds', type=int, default=1, help='repeat with so many seeds (default: 1)')
    args = parser.parse_args()
    out = args.out.resolve()
    for part, frames, seed in (('train', args.frames, 11), ('val', 60, 12)):
        write_coco_dataset(out / part, frames, seed, size=SIZE)
    cost = {name: seconds_per_step(name, out, 0) for name in SAMPLINGS}
    results = []
    for seed in range(args.seeds):
        for name in SAMPLINGS:
            steps = round(args.iterations * cost['published'] / cost[name])
            config, checkpoint, seconds = train(name, out, steps, seed)
            row = dict(
                sampling=name,
                seed=seed,
                steps=steps,
                seconds=round(seconds),
                **dice_of(config, checkpoint),
            )
            results.append(row)
            (out / 'figures.json').write_text(json.dumps(results, indent=1), encoding='utf-8')
    columns = list(results[0])
    lines = [columns, ['---'] * len(columns)]
    lines += [
        [f'{value:.3f}' if isinstance(value, float) else str(value) for value in row.values()]
        for row in results
    ]
    sys.stdout.write(''.join(f'| {" | ".join(line)} |\n' for line in lines))


if __name__ == '__main__':
    main()
