"""The machine that a row is measured on: its name and versions, its matrix products, and who else is at work."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

LIBRARIES = (
    'torch',
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'mmdet',
    'mmcv',
    'mmengine',
    'onedl-mmdetection',
    'onedl-mmcv',
    'onedl-mmengine',
    'onedl-mmpretrain',
    'segment-anything',
    'transformers',
    'pycocotools',
    'faster-coco-eval',
)
Product = tuple[str, Callable[[], Any], float]


def products(dtype: torch.dtype, device: torch.device) -> list[Product]:
    """Products of the size of a ViT-B's linears, each with its FLOP; named by type and, on a CPU, by library."""
    rows, inner, columns = (4096, 768, 3072) if device.type == 'cpu' else (16384, 4096, 4096)
    short = str(dtype).removeprefix('torch.')
    flop = 2.0 * rows * inner * columns
    x = torch.randn(rows, inner, device=device, dtype=dtype)
    weight = torch.randn(columns, inner, device=device, dtype=dtype)

    def plain() -> torch.Tensor:
        with torch.no_grad():
            return torch.nn.functional.linear(x, weight)

    found: list[Product] = [(short, plain, flop)]
    if device.type == 'cpu' and dtype is torch.float32:
        found += _packed_product(x, weight, flop)
    return found


def _packed_product(x: torch.Tensor, weight: torch.Tensor, flop: float) -> list[Product]:
    """The same through oneDNN with its weight packed, where torch has it."""
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, x.shape[0])
        call = torch.ops.mkldnn._linear_pointwise

        def product() -> torch.Tensor:
            with torch.no_grad():
                return call(x, packed, None, 'none', [], '')

        product()
    except (AttributeError, RuntimeError, NotImplementedError):
        return []
    return [('float32 oneDNN packed', product, flop)]


def machine(device: torch.device | None = None) -> dict[str, Any]:
    """Processor, threads, GPU and versions."""
    versions = {'python': platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    found: dict[str, Any] = dict(
        processor=_processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        memory_gib=round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30),
        gpu='no GPU here',
        versions=versions,
    )
    if torch.cuda.is_available():
        found['gpu'] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')), '')


@dataclasses.dataclass
class Watch:
    """How much of the machine other processes take from now on."""

    start: float = dataclasses.field(default_factory=time.perf_counter)
    busy: float = dataclasses.field(default_factory=lambda: _busy_seconds())
    own: float = dataclasses.field(default_factory=lambda: _own_seconds())

    def share_of_others(self) -> float:
        """Their share of all cores since the start; children that ended count as ours."""
        passed = max(time.perf_counter() - self.start, 1e-3) * (os.cpu_count() or 1)
        others = (_busy_seconds() - self.busy) - (_own_seconds() - self.own)
        # the kernel counts in hundredths of a second
        return max(0.0, others - 0.02) / passed


def _busy_seconds() -> float:
    try:
        fields = Path('/proc/stat').read_text(encoding='ascii').split('\n', 1)[0].split()[1:]
    except OSError:
        return 0.0
    ticks = [int(field) for field in fields]
    # user, nice, system, then irq, softirq, steal; 3 and 4 are idle and waiting
    return (sum(ticks[:3]) + sum(ticks[5:8])) / os.sysconf('SC_CLK_TCK')


def _own_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
