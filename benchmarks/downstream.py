"""Compare the encoder that ships with a random one as a start for other tasks, on simulated frames with classes.

Classifiers, Mask2Former (single-scale and on a feature pyramid) and prompted classifiers are trained and tested from
the configs that ship, at the size of the small encoder: same frames, steps and learning rate for both starts. Each run
keeps its result in the work directory, so that a stop loses one run at most. `--choose` compares learning rates
instead: half the steps, tested on validation frames.

Examples:
  python benchmarks/downstream.py --work-dir work_dirs/downstream
  python benchmarks/downstream.py --work-dir work_dirs/downstream --rows probe classifier --seeds 0
  python benchmarks/downstream.py --work-dir work_dirs/downstream --table-only > table.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import torch
from downstream_runs import CHECKPOINT, FIGURES, Run, carry_out, write_data

from ultrasam.atomic import publish_json
from ultrasam.errors import UltraSamError
from ultrasam.hashing import file_sha256


@dataclass(frozen=True)
class Row:
    """What both starts have in common: a part of the table."""

    task: str
    lesions: str
    frames: int
    iterations: int
    batch: int
    lr: float
    starts: tuple[str, ...] = ('random', 'encoder')


ROWS = (
    Row('classifier', 'kinds', 640, 80, 8, 3e-4),
    Row('classifier', 'diagnosis', 640, 80, 8, 3e-4),
    Row('prompted', 'diagnosis', 640, 80, 4, 6e-4),
    Row('mask2former', 'kinds', 640, 120, 4, 6e-4),
    Row('pyramid', 'kinds', 640, 120, 4, 6e-4, ('encoder',)),
    *(
        Row('probe', lesions, frames, 0, 0, 0.0)
        for lesions in ('diagnosis', 'kinds')
        for frames in (40, 160, 640)
    ),
)
RATES = (2e-4, 6e-4)  # tried by --choose


def planned(rows: list[Row], seeds: list[int], *, choose: bool) -> list[Run]:
    """The runs, seed by seed."""
    runs = []
    for seed in seeds:
        for row in rows:
            common = asdict(row)
            starts = common.pop('starts')
            runs += [Run(**common, start=start, seed=seed) for start in starts]
    if not choose:
        return runs
    return [
        replace(run, lr=rate, iterations=run.iterations // 2, part='val')
        for run in runs
        for rate in RATES
        if run.task != 'probe' and run.start in ('random', 'encoder')
    ]


def result_of(run: Run, work_dir: Path) -> dict | None:
    """What a run gave, if it was done with the checkpoint that is there now."""
    path = work_dir / 'results' / f'{run.name}.json'
    if not path.is_file():
        return None
    kept = json.loads(path.read_text())
    return kept if kept['checkpoint'] == file_sha256(CHECKPOINT) else None


def carry_out_and_keep(run: Run, work_dir: Path) -> None:
    """Do a run, unless it is done."""
    if result_of(run, work_dir) is not None:
        return
    start = time.process_time()
    figures = carry_out(run, work_dir)
    kept = dict(
        run=asdict(run),
        figures=figures,
        processor_s=round(time.process_time() - start, 1),
        checkpoint=file_sha256(CHECKPOINT),
    )
    publish_json(work_dir / 'results' / f'{run.name}.json', kept, overwrite=True)
    sys.stderr.write(f'{run.name}: {figures}\n')


def table(runs: list[Run], work_dir: Path) -> str:
    """Mean and standard deviation over the seeds that are done, a line a task, start and number of frames."""
    lines = [
        '| model | frames | start | learning rate | steps | figures, mean ± sd | seeds |',
        '|---' * 7 + '|',
    ]
    groups: dict[Run, list[dict]] = {}
    for run in runs:
        kept = result_of(run, work_dir)
        if kept is not None:
            groups.setdefault(replace(run, seed=0), []).append(kept['figures'])
    for run, kept in groups.items():
        figures = ', '.join(f'{name} {spread([one[name] for one in kept])}' for name in FIGURES[run.task])
        steps = f'{run.iterations} of {run.batch}' if run.iterations else 'none'
        rate = f'{run.lr:g}' if run.iterations else 'none'
        lines.append(
            f'| {run.task}, {run.lesions} | {run.frames} | {run.start} | {rate} | {steps} | {figures} | {len(kept)} |'
        )
    return '\n'.join(lines) + '\n'


def spread(values: list[float]) -> str:
    """Mean ± sample standard deviation; the mean alone of one value."""
    mean = f'{statistics.mean(values):.3f}'
    return mean if len(values) < 2 else f'{mean} ± {statistics.stdev(values):.3f}'


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    tasks = list(dict.fromkeys(row.task for row in ROWS))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, required=True, help='folder of frames, logs and results')
    parser.add_argument('--rows', nargs='+', choices=tasks, default=tasks, help='tasks (default: all)')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='default: 0 1 2')
    parser.add_argument('--choose', action='store_true', help='compare learning rates on validation frames')
    parser.add_argument('--table-only', action='store_true', help='run nothing, show what is done')
    parser.add_argument('--threads', type=int, default=1, help='of torch (default: 1)')
    parser.add_argument('--json', type=Path, help='also write the runs and their figures to this file')
    return parser.parse_args()


def main() -> int:
    """Do what is not done yet, and print the table."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    runs = planned([row for row in ROWS if row.task in args.rows], args.seeds, choose=args.choose)
    (args.work_dir / 'results').mkdir(parents=True, exist_ok=True)
    try:
        if not args.table_only:
            write_data(args.work_dir / 'data', runs, jobs=args.threads)
            for run in runs:
                carry_out_and_keep(run, args.work_dir)
        if args.json:
            publish_json(args.json, [result_of(run, args.work_dir) for run in runs], overwrite=True)
    except UltraSamError as error:
        sys.stderr.write(f'{type(error).__name__}: {error}\n')
        return 1
    sys.stdout.write(table(runs, args.work_dir))
    return 0


if __name__ == '__main__':
    sys.exit(main())
