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
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from tests.faults.harness import GROUPS, FaultResult, patience
from tests.faults.report import Outcome, as_json, as_markdown
from tests.faults.worker import FAULTS_FILE, RESULTS_FILE
from ultrasam.atomic import publish_bytes, publish_json

ROOT = Path(__file__).resolve().parents[2]
# A group that takes longer has hung in its preparation: trials have limits of their own.
_LONGEST_GROUP_S = {'list': 120, 'quick': 900, 'full': 3600}
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
    parser.add_argument(
        '--jobs', type=int, default=min(os.cpu_count() or 1, 4), help='groups at once (default: one a core)'
    )
    parser.add_argument('--list', action='store_true', help='list the faults and do nothing')
    return parser.parse_args(arguments)


def start_worker(
    arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes], limit_s: float
) -> int:
    """Run a worker in a fresh process to its end, what it says into a log, and return its exit status."""
    command = [sys.executable, '-m', 'tests.faults.worker', *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=limit_s
    ).returncode


def run_group(group: str, size: str, prefixes: Sequence[str]) -> Outcome:
    """Run the faults of a group in a fresh process and folder.

    Args:
        group: Name of its file, without ``group_``.
        size: ``quick``, ``full``, or ``list`` to run nothing.
        prefixes: What the ids of the faults begin with; all faults if empty.

    Returns:
        Its faults, their results, and what kept the group from ending.
    """
    outcome, started = Outcome(), time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in _UNSET}
    environment.update(OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT), CUDA_VISIBLE_DEVICES='')
    with tempfile.TemporaryDirectory(prefix='faults.') as folder, tempfile.TemporaryFile() as log:
        limit_s = _LONGEST_GROUP_S[size] * patience()
        try:
            code = start_worker([group, folder, size, *prefixes], environment, log, limit_s)
            ended = f'ended with exit status {code}'
        except subprocess.TimeoutExpired:
            code, ended = None, f'had not ended after {limit_s:.0f} s'
        if code != 0:
            log.seek(0)
            said = log.read().decode('utf-8', 'replace').strip()[-1500:]
            outcome.broken.append(f'group {group} {ended}: {said}')
        faults, results = Path(folder) / FAULTS_FILE, Path(folder) / RESULTS_FILE
        outcome.faults = json.loads(faults.read_text(encoding='utf-8')) if faults.exists() else []
        lines = results.read_text(encoding='utf-8').splitlines() if results.exists() else []
        outcome.results = [FaultResult(**json.loads(line)) for line in lines]
    outcome.seconds = round(time.monotonic() - started, 1)
    if size != 'list':
        sys.stderr.write(f'group {group}: {outcome.seconds:.1f} s\n')
    return outcome


def add_group(outcome: Outcome, group: str, part: Outcome) -> None:
    """Add what a group found to what all found."""
    known = {fault['id'] for fault in outcome.faults}
    twice = [fault['id'] for fault in part.faults if fault['id'] in known]
    outcome.broken += part.broken + [f'group {group}: fault {id_} is registered twice' for id_ in twice]
    outcome.faults += part.faults
    outcome.results += part.results


def groups_of(prefixes: Sequence[str]) -> list[str]:
    """The groups that may hold a fault whose id begins with one of the prefixes; all without any."""
    letters = {prefix[:1].lower() for prefix in prefixes}
    return [group for group in GROUPS if not letters or group[0] in letters]


def _cpu_s() -> float:
    """Processor time of all children so far: on a busy machine it says more than the time that passed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: list[str] | None = None) -> int:
    """Run, report, and say by the exit status whether all is well."""
    args = parse_args(arguments)
    outcome = Outcome()
    started = time.monotonic()
    size = 'list' if args.list else 'full' if args.full else 'quick'
    groups = groups_of(args.only)
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        # one job needs no thread, and from this one a worker may be forked
        each = pool.map if args.jobs > 1 else map
        parts = each(lambda group: run_group(group, size, args.only), groups)
        for group, part in zip(groups, parts, strict=True):
            add_group(outcome, group, part)
    ids = [fault['id'] for fault in outcome.faults]
    outcome.broken += [
        f'--only {prefix}: no fault has such an id'
        for prefix in args.only
        if not any(i.startswith(prefix) for i in ids)
    ]
    outcome.seconds, outcome.cpu_seconds = round(time.monotonic() - started, 1), round(_cpu_s(), 1)
    if args.list:
        sys.stdout.write(''.join(f'{fault["id"]:24} {fault["title"]}\n' for fault in outcome.faults))
        sys.stderr.write(''.join(f'{line}\n' for line in outcome.broken))
        return 1 if outcome.broken else 0
    args.out.mkdir(parents=True, exist_ok=True)
    report = as_json(outcome)
    publish_json(args.out / 'faults.json', report, overwrite=True)
    publish_bytes(args.out / 'faults.md', as_markdown(outcome).encode(), overwrite=True)
    sys.stdout.write(as_markdown(outcome))
    return 1 if report['failures'] else 0


if __name__ == '__main__':
    sys.exit(main())
