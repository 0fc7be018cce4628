"""Time one step of training, and its memory: plain float32 beside each switch, each in a process of its own.

Plain is what the recipe was published with: float32, whole attention maps, nothing recomputed. On a CPU read the
seconds of processor time, which other work on the machine disturbs least. With a GPU it also measures the batch of
the published recipe, in images per second and as a share of the peak.

Examples:
  python benchmarks/training_step.py
  python benchmarks/training_step.py --sizes small --steps 2 --switches plain fused_attention checkpointing
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import ultrasam.registry
from ultrasam.hooks.throughput import peak_memory_gb
from ultrasam.structures import Prompt

CONFIGS = Path(ultrasam.__file__).parents[1] / 'configs/_base_'
PLAIN = {'model.backbone.attention': 'materialised', 'optim_wrapper.optimizer.foreach': True}
FUSED = {'model.backbone.attention': 'fused'}
SWITCHES: dict[str, dict] = {
    'plain': {},
    'fused_attention': FUSED,
    'bf16': {'optim_wrapper.type': 'BFloat16OptimWrapper'},
    'checkpointing': {'model.backbone.checkpoint_layers': True},
    'checkpointing_decoder': {'model.decoder.checkpoint_layers': True},
    'compiled': {'model.backbone.compile_layers': True},
    'fused_adamw': {'optim_wrapper.optimizer.foreach': None, 'optim_wrapper.optimizer.fused': True},
}
SWITCHES['all'] = {key: value for options in SWITCHES.values() for key, value in options.items()}
# the encoder is a ViT with 972 GFLOP an image, the decoder needs 3.62 an instance and pass; backward is twice forward
FLOP_OF_IMAGE = 3 * (972.08e9 + 2 * 3.62e9)
SMALL = dict(embed_dims=96, num_layers=4, num_heads=4, feedforward_channels=384, global_attn_indexes=(1, 3))


def build(size: str, switch: str) -> tuple[torch.nn.Module, object, int]:
    """Model and optimizer under a switch, and the side of the input in pixels."""
    init_default_scope('mmdet')
    config = Config.fromfile(CONFIGS / 'models/ultrasam.py')
    config.merge_from_dict(
        Config.fromfile(CONFIGS / 'schedules/ultrasam_30k.py').to_dict(), allow_list_keys=True
    )
    side = 1024
    if size == 'small':
        side = config.model.backbone.img_size = config.model.prompt_encoder.img_size = 256
        config.model.backbone.arch, config.model.data_preprocessor.pad_size_divisor = SMALL, 256
    config.merge_from_dict({'model.decoder.dropout': 0.0, **PLAIN, **SWITCHES[switch]})
    torch.manual_seed(0)
    model = MODELS.build(config.model).to('cuda' if torch.cuda.is_available() else 'cpu').train()
    return model, build_optim_wrapper(model, config.optim_wrapper), side


def batch(images: int, side: int) -> dict:
    """Noise with one object in each image."""
    mask = torch.zeros(1, side, side, dtype=torch.uint8)
    mask[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    samples = []
    for _ in range(images):
        sample = DetDataSample(metainfo=dict(img_shape=(side, side), ori_shape=(side, side)))
        box = [side / 4, side / 4, side / 2, side / 2]
        sample.gt_instances = InstanceData(
            prompts=[Prompt(box=box)], masks=BitmapMasks(mask.numpy(), side, side)
        )
        samples.append(sample)
    noise = torch.randint(0, 255, (images, 3, side, side), generator=torch.Generator().manual_seed(1))
    return dict(inputs=list(noise.to(torch.uint8)), data_samples=samples)


def measure(size: str, switch: str, images: int, steps: int) -> dict:
    """Seconds a step, peak memory in GiB and losses; the first step warms up."""
    model, wrapper, side = build(size, switch)
    data = batch(images, side)
    on_gpu = torch.cuda.is_available()
    losses, clock, processor = [], [], []
    for _ in range(steps + 1):
        before = time.perf_counter(), time.process_time()
        losses.append(float(model.train_step(data, wrapper)['loss']))
        if on_gpu:
            torch.cuda.synchronize()
        clock.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
    peak = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else peak_memory_gb()
    return dict(seconds=min(clock[1:]), processor=min(processor[1:]), memory=peak, losses=losses)


def in_own_process(size: str, switch: str, images: int, steps: int) -> dict:
    """The same as :func:`measure`, so that its peak is its own."""
    command = [sys.executable, '-W', 'ignore', __file__, '--measure', size, switch, str(images), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return dict(failed=(done.stderr.strip().splitlines() or ['no message'])[-1][:100])
    return json.loads(done.stdout.strip().splitlines()[-1])


def row(switch: str, found: dict, plain: dict, images: int, peak_tflops: float) -> str:
    """A line of the table."""
    if 'failed' in found or 'failed' in plain:
        return f'| {switch} | failed: {found.get("failed", "see plain")} | | | | |\n'
    difference = max(abs(a / b - 1) for a, b in zip(found['losses'], plain['losses'], strict=True))
    share = images / found['seconds'] * FLOP_OF_IMAGE / (peak_tflops * 1e12)
    last = f'{images / found["seconds"]:.2f}' + (f', {share:.1%}' if torch.cuda.is_available() else '')
    return (
        f'| {switch} | {found["seconds"]:.2f} | {found["processor"]:.2f} '
        f'({plain["processor"] / found["processor"]:.2f}x) | {found["memory"]:.2f} | {difference:.1e} | {last} |\n'
    )


def main() -> None:
    """Measure each switch and print a table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sizes', nargs='+', choices=('small', 'vit_b'), default=['small', 'vit_b'])
    parser.add_argument('--switches', nargs='+', choices=tuple(SWITCHES), default=list(SWITCHES))
    parser.add_argument('--images', type=int, default=2, help='batch size on a CPU (default: 2)')
    parser.add_argument('--gpu-images', type=int, default=8, help='batch size on a GPU (default: 8)')
    parser.add_argument(
        '--steps', type=int, default=1, help='timed steps, after one that warms up (default: 1)'
    )
    parser.add_argument(
        '--peak-tflops', type=float, default=989, help='of the GPU (default: H200, dense bf16)'
    )
    parser.add_argument('--measure', nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        size, switch, images, steps = args.measure
        sys.stdout.write(json.dumps(measure(size, switch, int(images), int(steps))) + '\n')
        return
    on_gpu = torch.cuda.is_available()
    images = args.gpu_images if on_gpu else args.images
    place = torch.cuda.get_device_name() if on_gpu else f'CPU, {torch.get_num_threads()} threads'
    sys.stdout.write(f'torch {torch.__version__}, {place}, batch {images}\n')
    if not on_gpu:
        sys.stdout.write(
            f'no GPU: ViT-B with batch {args.gpu_images}, images/s and MFU on one, not measured\n'
        )
    for size in args.sizes:
        sys.stdout.write(
            f'\n{size}\n\n| switch | s a step | processor s (times as fast) | peak GiB | largest relative difference '
            'of a loss | images/s, MFU |\n|---|---|---|---|---|---|\n'
        )
        plain = in_own_process(size, 'plain', images, args.steps)
        for switch in args.switches:
            found = plain if switch == 'plain' else in_own_process(size, switch, images, args.steps)
            sys.stdout.write(row(switch, found, plain, images, args.peak_tflops))
            sys.stdout.flush()


if __name__ == '__main__':
    main()
