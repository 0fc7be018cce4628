"""What the exit codes of all commands mean, and how errors become one."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from ultrasam.corpus.errors import EXIT_ENVIRONMENT, EXIT_OK, EXIT_USAGE, exit_code_of
from ultrasam.errors import UltraSamError

DONE = 0
WRONG_USE = 2
SOME_FAILED = 3
REFUSED = 4
INTERRUPTED = 130  # 128 + SIGINT, as shells count
_TERMINATED = 143
_STOPPED = 'stopped; what was complete is kept, run again to go on\n'

EXIT_CODES = (
    'exit codes: 0 done, 2 wrong use, 3 some files could not be done (they are named), 4 refused, '
    '130 stopped by Ctrl-C'
)


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
