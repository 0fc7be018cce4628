"""Freed memory goes back to the system where it is asked to."""

from __future__ import annotations

import functools
import platform

import pytest

from tests.forked import run_forked

PROGRAM = """
import os, torch
from pathlib import Path
from ultrasam.models.allocator import keep_freed_memory, return_freed_memory

def resident():
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE') >> 20

keep_freed_memory()
blocks = [torch.ones(4 << 20) for _ in range(16)]
full = resident()
# every other one, so that those that stay pin the rest
del blocks[::2]
kept = resident()
return_freed_memory()
print(full - kept, kept - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='another C library frees as it likes')
def test_what_lies_between_blocks_in_use_is_returned() -> None:
    done = run_forked(functools.partial(exec, PROGRAM, {}))
    assert done.returncode == 0, done.stderr
    by_itself, returned = map(int, done.stdout.split()[-2:])
    # 8 blocks of 16 MiB
    assert by_itself < 32
    assert returned > 96
