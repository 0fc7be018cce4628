"""Run the fault suite: every registered fault, against this project and against the stock libraries.

Examples:
  python -m tests.faults.run                      every kind once (make faults)
  python -m tests.faults.run --full               more trials of each (make faults-full)
  python -m tests.faults.run --only G1 --only G3.environment
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.harness import FaultResult
from tests.faults.report import as_json, as_markdown
from tests.faults.worker import FAULTS_FILE, RESULTS_FILE
from ultrasam.atomic import publish_bytes, publish_json

ROOT = Path(__file__).resolve().parents[2]
# What decides how a checkpoint is read, or where a cache lies, is set by the suite alone.
_UNSET = ('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', 'ULTRASAM_TRUST_PICKLE', 'TORCH_HOME')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--full', action='store_true', help='more trials of each fault')
    parser.add_argument('--only', action='append', default=[], metavar='ID', help='faults whose id begins so')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/faults'), help='folder of the report')
    parser.add_argument('--list', action='store_true', help='list the faults and do nothing')
    return parser.parse_args(arguments)


def run_worker(size: str, prefixes: list[str]) -> tuple[list[dict[str, Any]], list[FaultResult]]:
    """Run faults in a fresh process and folder.

    Args:
        size: ``quick``, ``full``, or ``list`` to run nothing.
        prefixes: What the ids of the faults begin with; all faults if empty.

    Returns:
        The chosen faults, described, and a result for each of them and each stack that was run.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _UNSET}
    environment.update(OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='')
    with tempfile.TemporaryDirectory(prefix='faults.') as folder:
        command = [sys.executable, '-m', 'tests.faults.worker', folder, size, *prefixes]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        faults, results = Path(folder) / FAULTS_FILE, Path(folder) / RESULTS_FILE
        if done.returncode != 0:
            sys.stderr.write(done.stdout[-3000:])
        described = json.loads(faults.read_text(encoding='utf-8')) if faults.exists() else []
        lines = results.read_text(encoding='utf-8').splitlines() if results.exists() else []
    return described, [FaultResult(**json.loads(line)) for line in lines]


def main(arguments: list[str] | None = None) -> int:
    """Run, report, and say by the exit status whether all is well."""
    args = parse_args(arguments)
    faults, results = run_worker('list' if args.list else 'full' if args.full else 'quick', args.only)
    if args.list:
        sys.stdout.write(''.join(f'{fault["id"]:24} {fault["title"]}\n' for fault in faults))
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    report = as_json(faults, results)
    publish_json(args.out / 'faults.json', report, overwrite=True)
    publish_bytes(args.out / 'faults.md', as_markdown(faults, results).encode(), overwrite=True)
    sys.stdout.write(as_markdown(faults, results))
    return 1 if report['failures'] or not faults else 0


if __name__ == '__main__':
    sys.exit(main())
