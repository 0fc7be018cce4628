"""Time the conversion of data sets beside the least that it can cost: decoding and encoding the same pictures.

Two sets are made: images with a mask file for each lesion (BUSI), and volumes with label volumes (ACOUSLIC). The
floor reads every file and writes every picture with the same libraries, on the same number of processes, and does
nothing else: no pairing, no rules, no digests, no annotations, no verification.

Examples:
  python benchmarks/corpus.py
  python benchmarks/corpus.py --images 100 --repeats 1
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from timing import milliseconds, seconds
from tqdm import tqdm

from ultrasam.simulation import SimulatedFrame, SimulationSettings, simulate_frame

ROOT = Path(__file__).resolve().parents[1]
CONVERT = ROOT / 'datasets/convert.py'
SIDE = 500
SLICES = 100
# the level at which the converter packs
COMPRESSION = 4
DISTINCT = 40


def simulated(scene: str) -> list[SimulatedFrame]:
    """Frames of SIDE x SIDE pixels, enough of them that packing meets all kinds."""
    settings = SimulationSettings(size=SIDE, scene=scene, overlays=False, colour=False)
    return [
        simulate_frame(seed, settings=settings) for seed in tqdm(range(DISTINCT), desc=scene, disable=None)
    ]


def square(values: np.ndarray) -> np.ndarray:
    """The picture on SIDE x SIDE pixels, black around."""
    height, width = values.shape
    return np.pad(values, ((0, SIDE - height), (0, SIDE - width)))


def make_images(folder: Path, frames: list[SimulatedFrame], count: int) -> Path:
    """A BUSI of so many images; each has noise of its own, so that no two files are the same."""
    place = folder / 'Dataset_BUSI_with_GT' / 'benign'
    place.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        frame = frames[number % len(frames)]
        noise = rng.integers(0, 3, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(np.minimum(square(frame.image), 252) + noise).save(place / f'benign ({number}).png')
        for k, mask in enumerate(frame.masks):
            name = f'benign ({number})_mask{f"_{k}" if k else ""}.png'
            Image.fromarray(square(mask.astype(np.uint8) * 255)).save(place / name)
    return folder


def make_volumes(folder: Path, frames: list[SimulatedFrame], count: int) -> Path:
    """An ACOUSLIC of so many slices, all of them annotated."""
    import SimpleITK as itk  # noqa: N813 - the short name that its users know

    rows = ['uuid,subject_id']
    for kind in ('fetal_ultrasound', 'fetal_abdomen'):
        (folder / f'stacked_{kind}').mkdir(parents=True)
    for case in range(-(-count // SLICES)):
        some = [frames[(case + number) % len(frames)] for number in range(min(SLICES, count - case * SLICES))]
        planes = {
            'fetal_ultrasound': np.stack([square(frame.image) for frame in some]),
            'fetal_abdomen': np.stack([square(frame.masks.any(0).astype(np.uint8)) for frame in some]),
        }
        for kind, volume in planes.items():
            itk.WriteImage(
                itk.GetImageFromArray(volume), str(folder / f'stacked_{kind}/case{case}.mha'), True
            )
        rows.append(f'case{case},{case}')
    table = folder / 'fetal_abdominal_circumferences_per_sweep.csv'
    table.write_text('\n'.join(rows) + '\n', encoding='utf-8')
    return folder


def encode(values: np.ndarray, path: Path) -> None:
    """Write a gray picture as the converter does: 8-bit RGB, packed alike."""
    buffer = io.BytesIO()
    rgb = np.repeat(values[..., None], 3, axis=2)
    Image.fromarray(rgb).save(buffer, 'PNG', compress_level=COMPRESSION)
    path.write_bytes(buffer.getvalue())


def floor_image(out: Path, path: Path) -> None:
    """Decode an image file; encode it unless it is a mask."""
    with Image.open(path) as opened:
        values = np.asarray(opened)
    if '_mask' not in path.name:
        encode(values, out / path.name)


def floor_volume(out: Path, path: Path) -> None:
    """Decode a volume; encode its slices unless they are labels."""
    import SimpleITK as itk  # noqa: N813 - the short name that its users know

    values = itk.GetArrayFromImage(itk.ReadImage(str(path)))
    if 'ultrasound' in path.parent.name:
        for number, plane in enumerate(values):
            encode(plane, out / f'{path.stem}_{number}.png')


def run_floor(work: Callable[[Path, Path], None], source: Path, jobs: int) -> None:
    """Decode and encode everything, in a folder that is thrown away."""
    paths = sorted(path for path in source.rglob('*') if path.suffix in ('.png', '.mha'))
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        pool = ProcessPoolExecutor(jobs, mp_context=get_context('forkserver'))
        list(pool.map(partial(work, Path(out)), paths, chunksize=4 if len(paths) > 100 else 1))
        pool.shutdown()


def run_convert(name: str, source: Path, jobs: int) -> int:
    """Convert in a process of its own, into a folder that is thrown away; its largest memory, in bytes."""
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        command = [
            sys.executable,
            str(CONVERT),
            name,
            str(source),
            out,
            '--jobs',
            str(jobs),
            '--accept-counts',
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603 - our own command
        most = 0
        while True:
            # of this process alone: what its workers need is counted for each of them
            try:
                status = Path(f'/proc/{process.pid}/status').read_text(encoding='utf-8')
                most = max(
                    [most, *(int(line.split()[1]) for line in status.splitlines() if line[:6] == 'VmHWM:')]
                )
            except (FileNotFoundError, ProcessLookupError):
                pass
            try:
                _, errors = process.communicate(timeout=0.02)
                break
            except subprocess.TimeoutExpired:
                continue
    if process.returncode:
        sys.exit(f'{name}: exit {process.returncode}: {errors.decode(errors="replace")[-500:]}')
    return most * 1024


def listing() -> None:
    """``datasets/convert.py list``."""
    subprocess.run([sys.executable, str(CONVERT), 'list'], stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own command


def row(what: str, count: int, ours: list[float], floor: list[float]) -> str:
    """A line of the table."""
    here, least = statistics.median(ours), statistics.median(floor)
    rounds = [a / b for a, b in zip(ours, floor, strict=True)]
    return (
        f'| {what} | {count:,} | {here:.1f} s | {count / here:,.0f} | {least:.1f} s | '
        f'{here / least:.2f} ({min(rounds):.2f} to {max(rounds):.2f}) |\n'
    )


def main() -> None:
    """Make the sets, time both sides in turns, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=2000, help='pictures of each set (default: 2000)')
    parser.add_argument(
        '--jobs', type=int, default=os.cpu_count() or 1, help='processes (default: all cores)'
    )
    parser.add_argument('--repeats', type=int, default=3, help='counted runs of each row (default: 3)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='corpus.') as folder:
        place = Path(folder)
        breast = simulated('breast')
        sets = {
            'busi': (make_images(place / 'images', breast, args.images), floor_image),
            'acouslic': (make_volumes(place / 'volumes', simulated('fetus'), args.images), floor_volume),
        }
        sys.stdout.write(
            f'{args.jobs} processes, pictures of {SIDE} x {SIDE} px, Pillow {Image.__version__}\n\n'
            '| data | pictures | conversion | pictures a second | decode and encode alone | times the floor '
            '(least to most) |\n|---|---|---|---|---|---|\n'
        )
        for name, (source, work) in sets.items():
            ours, floor = [], []
            for _ in range(args.repeats):
                ours.append(seconds(partial(run_convert, name, source, args.jobs)))
                floor.append(seconds(partial(run_floor, work, source, args.jobs)))
            sys.stdout.write(row(name, args.images, ours, floor))
        sys.stdout.write('\n| pictures | memory of the parent process |\n|---|---|\n')
        for count in (args.images // 4, args.images // 2, args.images):
            source = make_images(place / f'images{count}', breast, count)
            most = run_convert('busi', source, args.jobs)
            sys.stdout.write(f'| {count:,} | {most / 1e6:,.0f} MB |\n')
        listing()
        times = [seconds(listing) for _ in range(max(3, args.repeats))]
        sys.stdout.write(f'\n`datasets/convert.py list`: {milliseconds(times)}\n')


if __name__ == '__main__':
    main()
