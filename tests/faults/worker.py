"""Runs one group of faults on both stacks, in a process of its own that forks for each trial."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from tests.faults.harness import STACKS, Arena, FaultResult, load_group, run_fault

FAULTS_FILE, RESULTS_FILE = 'faults.json', 'results.jsonl'


def main(group: str, folder: str, size: str, *prefixes: str) -> None:
    """List the chosen faults of a group in a file; unless ``size`` is ``list``, run them and write their results."""
    # a shell starts what runs in its background deaf to Ctrl-C, and its children with it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Path(folder)
    faults = [fault for fault in load_group(group) if not prefixes or fault.id.startswith(prefixes)]
    (place / FAULTS_FILE).write_text(json.dumps([fault.described() for fault in faults]), encoding='utf-8')
    for stack in STACKS if size != 'list' else ():
        for fault in faults:
            root = Path(tempfile.mkdtemp(prefix=f'{fault.id}.', dir=place))
            try:
                result = run_fault(fault, Arena(root / 'arena', stack, size == 'full', fault.seed))
            # A fault that cannot be prepared is a fault that was not run; the report says so and fails.
            except Exception:
                result = FaultResult(fault.id, stack, error=traceback.format_exc(limit=-3))
            with open(place / RESULTS_FILE, 'a', encoding='utf-8') as file:
                file.write(json.dumps(result.as_dict()) + '\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
