"""Run the rows of the benchmark, each in a process of its own, and keep tables and figures.

Without ``--full`` each row measures its quick cases. Use a quiet machine: rows during which other processes took more
than 12 % of it are marked. A row that needs a GPU says so when there is none. Figures of other implementations that
cannot be run are listed at the end as what they are.

Examples:
  python benchmarks/bench.py
  python benchmarks/bench.py --rows encoder decoder
  python benchmarks/bench.py --full --strict --out work_dirs/benchmarks/quiet
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import machine
from published import FIGURES
from tables import markdown, quotes, where
from tqdm import tqdm

from ultrasam.atomic import publish_bytes, publish_json, refuse_existing

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Command:
    """A row: arguments of its quick and of its full cases; ``figures``: it takes the options of the harness."""

    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ('--full',)
    figures: bool = True


COMMANDS = {
    'encoder': Command(),
    'decoder': Command(),
    'end_to_end': Command(),
    'training_step': Command(('--sizes', 'small'), ()),
    'input_path': Command(),
    'shipped': Command(),
    'coco_reader': Command(('--images', '3500'), figures=False),
    'coco_metric': Command(full=('--images', '5000'), figures=False),
    'corpus': Command(('--images', '200', '--repeats', '1'), (), figures=False),
    'corpus_tools': Command(full=(), figures=False),
    'near_duplicates': Command(('--frames', '60'), (), figures=False),
}


def main() -> int:
    """Run the rows, print and keep what they found; 1 if any failed."""
    args = arguments()
    folder = args.out or HERE.parent / 'work_dirs/benchmarks' / time.strftime('%Y%m%d-%H%M%S')
    folder.mkdir(parents=True, exist_ok=True)
    for name in ('results.json', 'results.md'):
        refuse_existing(folder / name, overwrite=args.overwrite)
    found = []
    for name in tqdm(args.rows, desc='rows', disable=None):
        found.append(run(name, args))
        sys.stdout.write(found[-1]['text'] + '\n')
        sys.stdout.flush()
    text = ''.join(row['text'] + '\n' for row in found)
    quoted = quotes([dict(name=name, value=value, source=source) for name, value, source in FIGURES])
    sys.stdout.write(f'{quoted}\n{folder}\n')
    title = f'# Benchmarks, {time.strftime("%Y-%m-%d")}\n\n{where(machine())}\n\n'
    publish_json(folder / 'results.json', dict(machine=machine(), rows=found), overwrite=args.overwrite)
    publish_bytes(folder / 'results.md', (title + text + quoted).encode(), overwrite=args.overwrite)
    return int(any(row['failed'] for row in found))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--rows', nargs='+', choices=list(COMMANDS), default=list(COMMANDS), help='default: all'
    )
    parser.add_argument('--full', action='store_true', help='every case (hours), instead of the quick ones')
    parser.add_argument('--strict', action='store_true', help='refuse rows while other processes are at work')
    parser.add_argument(
        '--out', type=Path, help='folder of the results (default: work_dirs/benchmarks/, by time)'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace results that are in the folder')
    return parser.parse_args()


def run(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """A row in a process of its own: its text, its figures where it gives them, its seconds, whether it failed."""
    command = COMMANDS[name]
    line = [sys.executable, '-W', 'ignore', str(HERE / f'{name}.py')]
    line += command.full if args.full else command.quick
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        figures = Path(place) / 'figures.json'
        if command.figures:
            line += ['--json', str(figures), *(['--strict'] if args.strict else [])]
        done = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        content = json.loads(figures.read_text(encoding='utf-8')) if figures.is_file() else None
    text = done.stdout if content is None else markdown(content)
    if content is None:
        text = f'### {name}\n\n{text}'
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        text += f'\n**failed** (exit {done.returncode}): {last}\n'
    return dict(
        name=name,
        failed=done.returncode != 0,
        seconds=round(time.perf_counter() - started, 1),
        figures=content,
        text=text,
    )


if __name__ == '__main__':
    sys.exit(main())
