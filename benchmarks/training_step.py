"""Time one step of training, and its memory: ours beside plain float32 and each switch, each in a process of its own.

Plain is what the recipe was published with: float32, whole attention maps, nothing recomputed. On a CPU read the
seconds of the processor, which other work on the machine disturbs least; ViT-B at 1024 px takes minutes a step and
more than 10 GiB with whole maps. With a GPU the batches of ``--gpu-images`` are measured too, in images per second and
as a share of the rate of a bf16 matrix product in the same process.

Examples:
  python benchmarks/training_step.py
  python benchmarks/training_step.py --sizes small --steps 2 --switches checkpointing plain
  python benchmarks/training_step.py --sizes vit_b --switches fused_attention plain
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import torch
from machine import products
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tqdm import tqdm

import ultrasam.openmmlab.registry
from ultrasam.openmmlab.hooks.throughput import peak_memory_gb
from ultrasam.structures import Prompt

CONFIGS = Path(ultrasam.__file__).parents[1] / 'configs/_base_'
PLAIN = {'model.backbone.attention': 'bias', 'optim_wrapper.optimizer.foreach': True}
FUSED = {'model.backbone.attention': 'augmented'}
SWITCHES: dict[str, dict] = {
    'plain': {},
    'fused_attention': FUSED,
    'bf16': {'optim_wrapper.type': 'BFloat16OptimWrapper'},
    'checkpointing': {'model.backbone.grad_checkpointing': True},
    'checkpointing_decoder': {'model.decoder.grad_checkpointing': True},
    'compiled': {'model.backbone.compile_layers': True},
    'fused_adamw': {'optim_wrapper.optimizer.foreach': None, 'optim_wrapper.optimizer.fused': True},
}
SWITCHES['all'] = {key: value for options in SWITCHES.values() for key, value in options.items()}
SWITCHES['all_but_checkpointing'] = {
    key: value for key, value in SWITCHES['all'].items() if 'checkpoint' not in key
}
SWITCHES['least_memory'] = {
    key: value
    for switch in ('fused_attention', 'checkpointing', 'checkpointing_decoder')
    for key, value in SWITCHES[switch].items()
}
# the encoder is a ViT with 972 GFLOP an image, the decoder needs 3.62 an instance and pass; backward is twice forward
FLOP_OF_IMAGE = 3 * (972.08e9 + 2 * 3.62e9)
# what is measured unless told otherwise; the first is ours
ON_CPU = ('fused_attention', 'least_memory', 'plain')
ON_GPU = ('all_but_checkpointing', 'bf16', 'plain')
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


def wake(model: torch.nn.Module, wrapper: Any) -> None:
    """Make the state of the optimizer, which counts for the peak, without a step that moves a weight."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
    rates = [group['lr'] for group in wrapper.optimizer.param_groups]
    for group in wrapper.optimizer.param_groups:
        group['lr'] = 0.0
    wrapper.optimizer.step()
    wrapper.optimizer.zero_grad()
    for group, rate in zip(wrapper.optimizer.param_groups, rates, strict=True):
        group['lr'] = rate


def measure(size: str, switch: str, images: int, steps: int, warm_up: int) -> dict:
    """Seconds a step, peak memory in GiB without that of the libraries, losses.

    On a GPU also the rate of a bf16 product, FLOP/s.
    """
    libraries = resident_gb()
    model, wrapper, side = build(size, switch)
    wake(model, wrapper)
    data = batch(images, side)
    on_gpu = torch.cuda.is_available()
    losses, clock, processor = [], [], []
    for _ in range(warm_up + steps):
        before = time.perf_counter(), time.process_time()
        losses.append(float(model.train_step(data, wrapper)['loss']))
        if on_gpu:
            torch.cuda.synchronize()
        clock.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
    found = dict(clock=clock[warm_up:], processor=processor[warm_up:], losses=losses)
    found['memory'] = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else peak_memory_gb() - libraries
    if on_gpu:
        found['product'] = product_rate()
    return found


def resident_gb() -> float:
    """Memory of this process now, in GiB; 0 where the system does not tell."""
    try:
        pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**30


def product_rate() -> float:
    """FLOP/s of a bf16 matrix product on the GPU."""
    ((_, call, flop),) = products(torch.bfloat16, torch.device('cuda'))
    times = []
    for _ in range(8):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return flop / statistics.median(times[1:])


def in_own_process(*case: Any) -> dict:
    """The same as :func:`measure`, so that its peak is its own."""
    command = [sys.executable, '-W', 'ignore', __file__, '--measure', *map(str, case)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        # killed for memory, it has said nothing
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        return dict(failed=f'exit {done.returncode}: {last[:100]}')
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    """Measure each switch at each size and batch."""
    parser = harness.parser(__doc__)
    parser.add_argument('--sizes', nargs='+', choices=('small', 'vit_b'), help='default: small; --full: both')
    parser.add_argument(
        '--switches',
        nargs='+',
        choices=tuple(SWITCHES),
        help='the first is compared with the others, plain with all',
    )
    parser.add_argument('--images', type=int, default=2, help='batch size on a CPU (default: 2)')
    parser.add_argument(
        '--gpu-images', type=int, nargs='+', default=[8, 32], help='batch sizes on a GPU (default: 8 32)'
    )
    parser.add_argument('--steps', type=int, default=1, help='counted steps (default: 1)')
    parser.add_argument('--measure', nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        size, switch, *numbers = args.measure
        sys.stdout.write(json.dumps(measure(size, switch, *map(int, numbers))) + '\n')
        return
    report = harness.Report('training_step', args, harness.gpu())
    if harness.gpu() is None:
        for size in args.sizes or (('small', 'vit_b') if args.full else ('small',)):
            switches = args.switches or (list(SWITCHES) if args.full and size == 'small' else ON_CPU)
            rows(report, size, args.images, switches, (args.steps, 1 if size == 'small' else 0))
        report.absent(f'ViT-B at 1024 px, batches of {args.gpu_images}: images/s and memory on a GPU')
    else:
        for images in args.gpu_images:
            rows(report, 'vit_b', images, args.switches or ON_GPU, (max(args.steps, 5), 3))
    report.finish()


def rows(
    report: harness.Report, size: str, images: int, switches: Sequence[str], steps: tuple[int, int]
) -> None:
    """Rows of one size and batch: seconds, memory, losses, and on a GPU images per second."""
    found: dict[str, dict] = {}
    for switch in tqdm(dict.fromkeys([*switches, 'plain']), desc=f'{size}, batch {images}', disable=None):
        watch = harness.Watch()
        one = in_own_process(size, switch, images, *steps)
        if 'failed' in one:
            report.absent(f'{size}, batch {images}, {switch}', one['failed'])
            continue
        share = watch.share_of_others()
        if share > harness.LARGEST_SHARE_OF_OTHERS:
            report.note(f'{size}, batch {images}, {switch}: disturbed, others took {share:.0%}')
            if report.args.strict:
                sys.exit(
                    f'{size}, {switch}: other processes took {share:.0%} of the machine; wait, then again'
                )
        found[switch] = one
    if not found:
        return
    name = f'{size}, batch {images}'
    for field, unit in (('clock', 's a step'), ('processor', 's of the processor a step')):
        report.figures(
            f'{name}: {field}', {switch: statistics.median(one[field]) for switch, one in found.items()}, unit
        )
    report.figures(f'{name}: peak memory', {switch: one['memory'] for switch, one in found.items()}, 'GiB')
    if 'plain' in found:
        gaps = {switch: gap(one['losses'], found['plain']['losses']) for switch, one in found.items()}
        report.figures(f'{name}: largest relative difference of a loss from plain', gaps, '')
    if harness.gpu() is not None:
        speeds = {switch: images / statistics.median(one['clock']) for switch, one in found.items()}
        report.figures(f'{name}: speed', speeds, 'images/s')
        shares = {switch: speeds[switch] * FLOP_OF_IMAGE / one['product'] for switch, one in found.items()}
        report.figures(f'{name}: share of the rate of a bf16 product', shares, '')


def gap(losses: Sequence[float], plain: Sequence[float]) -> float:
    """Largest relative difference of the losses of the steps."""
    return max(abs(a / b - 1) for a, b in zip(losses, plain, strict=True))


if __name__ == '__main__':
    main()
