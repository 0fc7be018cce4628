"""How the commands on datasets end: errors and signals become a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from ultrasam.cli.exit_codes import INTERRUPTED
from ultrasam.corpus.errors import EXIT_ENVIRONMENT, EXIT_OK, EXIT_USAGE, exit_code_of
from ultrasam.errors import UltraSamError

CODES = """
exit codes: 0 done, 2 wrong use, 3 faults in the data, 4 file names or links that leave their folder,
5 disk, permission or a result that is there already
"""
_TERMINATED = 143
_STOPPED = 'stopped; what was complete is kept, run again to go on\n'


def guarded(work: Callable[[], int | None]) -> int:
    """Run a command; errors and signals become a message and an exit code."""
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        code = work()
    except UltraSamError as error:
        sys.stderr.write(f'{error}\n')
        return exit_code_of(error)
    except BrokenPipeError:  # the reader of a list, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        sys.stderr.write(f'{error.filename or "the disk"}: {error.strerror or error}\n')
        return EXIT_ENVIRONMENT
    except KeyboardInterrupt:
        sys.stderr.write(_STOPPED)
        return INTERRUPTED
    except SystemExit as leaving:
        sys.stderr.write(_STOPPED)
        return leaving.code if isinstance(leaving.code, int) else EXIT_USAGE
    finally:
        signal.signal(signal.SIGTERM, previous)
    return EXIT_OK if code is None else code


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)
