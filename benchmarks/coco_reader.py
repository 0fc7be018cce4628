"""Our data set against mmdet's CocoDataset on one annotation file at four sizes: time to ready, memory of a worker.

Each figure is of a process of its own. Memory is the proportional set size (PSS, shared pages divided among those who
share them) of a data-loader worker that has read samples, less that of a worker without data set. First start: the
index is made; second start: it is there. The file itself is in the page cache, for both.

Examples:
  python benchmarks/coco_reader.py
  python benchmarks/coco_reader.py --full
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LARGEST = 28_000
WORKERS = 4
SAMPLES = 2_000
READERS = ('none', 'ours', 'mmdet')


def main() -> None:
    """Print a table with a row for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--full', action='store_true', help='up to 280,000 images and 1,000,000 masks')
    parser.add_argument('--images', type=int, nargs='+', help='sizes of your own')
    parser.add_argument('--work', type=Path, help='folder for the file (default: a temporary one)')
    parser.add_argument('--measure', nargs=3, metavar=('READER', 'METHOD', 'FILE'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        reader, method, path = args.measure
        sys.stdout.write(json.dumps(measure(reader, method, Path(path))) + '\n')
        return
    largest = LARGEST * (10 if args.full else 1)
    sys.stdout.write(
        '| images | masks | file | CocoDataset ready | ours, first start | ours, second start | times as fast '
        '| worker, fork: CocoDataset, ours | worker, spawn: CocoDataset, ours |\n' + '|---' * 9 + '|\n'
    )
    for images in args.images or (largest // 8, largest // 4, largest // 2, largest):
        with tempfile.TemporaryDirectory(dir=args.work) as folder:
            path = Path(folder) / 'train.agnostic.noSmall.coco.json'
            masks = write_file(path, images)
            sys.stdout.write(f'| {images:,} | {masks:,} | {path.stat().st_size / 1e6:.0f} MB {row(path)}')
            sys.stdout.flush()


def row(path: Path) -> str:
    """The measured cells of a row."""
    first = measured('ours', 'fork', path)
    by_method = {
        method: {reader: measured(reader, method, path) for reader in READERS} for method in ('fork', 'spawn')
    }
    second, theirs = by_method['fork']['ours']['ready'], by_method['fork']['mmdet']['ready']
    digests = {found['mmdet']['samples'] for found in by_method.values()}
    if digests != {found['ours']['samples'] for found in by_method.values()}:
        raise SystemExit('the samples differ')
    cells = [
        f'{theirs:.1f} s',
        f'{first["ready"]:.1f} s',
        f'{second:.2f} s',
        f'{theirs / second:.0f}',
    ]
    for found in by_method.values():
        mmdet, ours = (
            found[reader]['worker_mb'] - found['none']['worker_mb'] for reader in ('mmdet', 'ours')
        )
        cells.append(f'{mmdet:.0f} MB, {ours:.1f} MB')
    return f'| {" | ".join(cells)} |\n'


def measured(reader: str, method: str, path: Path) -> dict[str, Any]:
    """What a fresh process measures."""
    command = [sys.executable, '-W', 'ignore', __file__, '--measure', reader, method, str(path)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own command
    return dict(json.loads(result.stdout.splitlines()[-1]))


def measure(reader: str, method: str, path: Path) -> dict[str, Any]:
    """Build a data set, start workers, and look at them once all have read."""
    from mmdet.datasets import CocoDataset

    from ultrasam.openmmlab.datasets import UltraSamCocoDataset

    options: dict[str, Any] = dict(
        ann_file=str(path), metainfo=dict(classes=('object',)), data_prefix=dict(img=''), pipeline=[]
    )
    start = time.perf_counter()
    data: Any = None
    if reader == 'ours':
        data = UltraSamCocoDataset(**options, check_images=False)
    elif reader == 'mmdet':
        data = CocoDataset(**options)
    ready = time.perf_counter() - start
    context = multiprocessing.get_context(method)
    results, may_end = context.Queue(), context.Event()
    workers = [
        context.Process(target=work, args=(data, number, results, may_end)) for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    digests = sorted(results.get() for _ in workers)
    memory = [pss_mb(worker.pid) for worker in workers]
    may_end.set()
    for worker in workers:
        worker.join()
    return {'ready': ready, 'worker_mb': sum(memory) / WORKERS, 'samples': '-'.join(digests)}


def work(data: Any, number: int, results: Any, may_end: Any) -> None:
    """Read samples here and there, tell what they were, and wait to be looked at."""
    import hashlib
    import random

    from ultrasam.openmmlab.datasets import UltraSamCocoDataset  # noqa: F401 - so that a worker without data is the same

    digest = hashlib.sha256()
    draw = random.Random(number)  # noqa: S311 - no secret
    for _ in range(SAMPLES if data is not None else 0):
        sample = data.get_data_info(draw.randrange(len(data)))
        digest.update(json.dumps(sample, sort_keys=True).encode())
    results.put(digest.hexdigest())
    may_end.wait()


def pss_mb(pid: int | None) -> float:
    """Proportional set size of a process."""
    for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1]) / 1024
    raise SystemExit('this system does not tell the memory of a process')


def write_file(path: Path, images: int) -> int:
    """Write a merged training file; gives the number of its masks."""
    import numpy as np
    from corpus_tools import MASKS_PER_IMAGE, SHAPES, SIZES_HW, blobs

    rng = np.random.default_rng(1)
    pool = blobs()
    masks = 0
    sizes = [SIZES_HW[place] for place in rng.integers(len(SIZES_HW), size=images)]
    with path.open('w') as file:
        file.write('{"categories": [{"id": 1, "name": "object"}],\n"images": [\n')
        for number, (height, width) in enumerate(sizes):
            record = {
                'id': number,
                'file_name': f'set{number % 43:02d}/images/set{number % 43:02d}__{number:06d}.png',
                'height': height,
                'width': width,
                'subject': f'patient{number // 20}',
                'source_file': f'scans/patient{number // 20}/{number}.png',
            }
            file.write((',\n' if number else '') + json.dumps(record))
        file.write('],\n"annotations": [\n')
        for number, size in enumerate(sizes):
            for _ in range(rng.poisson(MASKS_PER_IMAGE)):
                masks += 1
                fields = pool[size][rng.integers(SHAPES)].moved(rng)
                record = {'id': masks, 'image_id': number, 'category_id': 1, **fields}
                file.write((',\n' if masks > 1 else '') + json.dumps(record))
        file.write(']}\n')
    # a file that was just written is looked into at each start
    old = time.time() - 60
    os.utime(path, (old, old))
    return masks


if __name__ == '__main__':
    main()
