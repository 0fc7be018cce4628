"""Time whole commands of this checkout beside those of another, in turn: conversion and prediction on a folder.

Each command runs in a process of its own, with one thread; start-up is part of the figure. The ratio is that of the
medians: below 1, this checkout is faster.

Examples:
  git worktree add --detach ../before 08ef999
  python benchmarks/checkouts.py ../before
  python benchmarks/checkouts.py ../before --images 400 --repeats 7
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpus import make_images, make_volumes, simulated

ROOT = Path(__file__).resolve().parents[1]
POINT = ('--point', '250', '250')
ULTRASAM = 'import sys; from ultrasam.cli.main import main; sys.exit(main(sys.argv[1:]))'


def main() -> None:
    """Print a table with a row for each command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('other', type=Path, help='folder of the other checkout')
    parser.add_argument('--images', type=int, default=400, help='images of each set (default: 400)')
    parser.add_argument('--repeats', type=int, default=5, help='runs of each command (default: 5)')
    args = parser.parse_args()
    other = args.other.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        still, moving = simulated('breast'), simulated('fetus')
        make_images(folder / 'busi', still, args.images)
        make_volumes(folder / 'acouslic', moving, args.images)
        frames = folder / 'frames'
        frames.mkdir()
        for number, path in enumerate(sorted((folder / 'busi').rglob('benign (*).png'))):
            shutil.copyfile(path, frames / f'{number:04d}.png')
        convert, out = ('datasets/convert.py', '--jobs', '2', '--accept-counts'), folder / 'out'
        predict = ('-c', ULTRASAM, 'predict', str(frames), *POINT, '--format', 'mask', '--quiet')
        commands = {
            'convert images': [convert[0], 'busi', str(folder / 'busi'), str(out), *convert[1:]],
            'convert volumes': [convert[0], 'acouslic', str(folder / 'acouslic'), str(out), *convert[1:]],
            'predict a folder': [*predict, '--out', str(out)],
        }
        sys.stdout.write(
            '| command | other | this | ratio | memory, other and this |\n|---|---|---|---|---|\n'
        )
        for label, command in commands.items():
            times: dict[Path, list[float]] = {other: [], ROOT: []}
            memory: dict[Path, float] = {}
            for _ in range(args.repeats):
                for checkout, found in times.items():
                    seconds, memory[checkout] = measured(command, checkout, out)
                    found.append(seconds)
            before, now = (statistics.median(found) for found in times.values())
            sys.stdout.write(
                f'| {label}, {args.images} | {before:.2f} s | {now:.2f} s | {now / before:.2f} '
                f'| {memory[other]:.0f}, {memory[ROOT]:.0f} MB |\n'
            )
            sys.stdout.flush()


def measured(command: list[str], checkout: Path, out: Path) -> tuple[float, float]:
    """Run a command of a checkout into a new folder; return its seconds and its largest memory in MB."""
    shutil.rmtree(out, ignore_errors=True)
    environment = {**os.environ, 'PYTHONPATH': str(checkout), 'OMP_NUM_THREADS': '1'}
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  this interpreter, with commands of ours
        [sys.executable, *command],
        cwd=checkout,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f'{checkout}: {" ".join(command)} ended with status {status}')
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


if __name__ == '__main__':
    main()
