"""Running the commands as a user types them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.golden import ROOT

SCRIPTS = Path(sys.executable).parent
FULL = 'configs/UltraSAM/UltraSAM_full'
NANO = 'configs/UltraSAM/nano/ultrasam_nano_256.py'


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user who has activated the one that runs the tests."""
    path = f'{SCRIPTS}{os.pathsep}{os.environ["PATH"]}'
    return {**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '2', 'OMP_WAIT_POLICY': 'PASSIVE', **extra}


def run(
    command: Sequence[str], *, cwd: Path = ROOT, timeout: float = 1500
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, stdout and stderr together."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def logged(text: str, key: str) -> list[float]:
    """Every value that a run logged under a key."""
    return [float(value) for value in re.findall(rf'{re.escape(key)}: ([-+\d.e]+)', text)]
