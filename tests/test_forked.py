"""Processes that are forked from this one are on their own, and end as commands do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.forked import run_forked

CHANGED: list[int] = []


def change_everything() -> None:
    CHANGED.append(1)
    Path('made').touch()
    os.environ['CHANGED'] = '1'
    print(Path.cwd().name, sorted(os.environ))
    print('aloud', file=sys.stderr)
    os.write(1, b'by number\n')


def test_it_changes_nothing_here(tmp_path: Path):
    done = run_forked(change_everything, cwd=tmp_path, environment=dict(HOME='/'))
    assert (done.returncode, done.stderr) == (0, 'aloud\n')
    assert done.stdout == f"{tmp_path.name} ['CHANGED', 'HOME']\nby number\n"
    assert not CHANGED and 'CHANGED' not in os.environ
    assert (tmp_path / 'made').exists() and Path.cwd() != tmp_path


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ('call', 'status'), [(partial(sys.exit, 3), 3), (partial(int, 'x'), 1), (killed, -9)]
)
def test_its_end_is_that_of_a_script(call, status):
    done = run_forked(call)
    assert done.returncode == status
    assert ('ValueError' in done.stderr) == (status == 1)


def test_it_is_not_waited_for_longer_than_asked():
    with pytest.raises(subprocess.TimeoutExpired):
        run_forked(partial(time.sleep, 600), timeout_s=0.1)


def identity_of(name: str) -> None:
    print(id(__import__(name)))


def test_a_package_is_imported_anew_on_request():
    import json

    assert run_forked(partial(identity_of, 'json')).stdout == f'{id(json)}\n'
    assert run_forked(partial(identity_of, 'json'), without=['json']).stdout != f'{id(json)}\n'
