"""Progress of training, in the log."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import LoggerHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class FirstStepLoggerHook(LoggerHook):
    """MMEngine's ``LoggerHook``, which also logs the first step of a run.

    A user sees the loss, the time of a step and the memory at once, not after ``interval`` steps.

    Args:
        **options: those of ``LoggerHook``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.interval: int
        self._is_first = True

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Log the first step of this process, then every ``interval``-th."""
        interval: int = self.interval
        if self._is_first:
            self.interval, self._is_first = 1, False
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        self.interval = interval
