"""Ctrl-C ends a run after the frame under way, so that no result is written by half."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """Notes Ctrl-C while its block runs; a second one interrupts at once.

    Attributes:
        is_made: True once Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.is_made = False
        self._before: Any = None

    def __enter__(self) -> StopRequest:
        # only the main thread may set a handler; elsewhere nothing changes
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.is_made:
            raise KeyboardInterrupt
        self.is_made = True
        sys.stderr.write('\nstopping after this frame; Ctrl-C again stops at once\n')
