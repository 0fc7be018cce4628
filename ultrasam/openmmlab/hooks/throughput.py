"""What a step costs, in the log."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


def peak_memory_gb() -> float:
    """Largest resident memory of this process so far, in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == 'darwin' else 2**20)


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Logs images per second over all processes, and the peak memory of this one.

    MMEngine logs the time of a step and the memory of a GPU; images per
    second compare across batch sizes, and on a CPU its memory is the limit.
    """

    # after IterTimerHook, which measures the step, and before LoggerHook
    priority = 'LOW'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict[str, Any] | Sequence | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record the step that has just ended."""
        if not isinstance(data_batch, dict):
            return
        images = len(data_batch['data_samples']) * get_world_size()
        seconds = runner.message_hub.get_scalar('train/time').current()
        runner.message_hub.update_scalar('train/images_per_s', images / seconds)
        runner.message_hub.update_scalar('train/peak_memory_gb', peak_memory_gb())
