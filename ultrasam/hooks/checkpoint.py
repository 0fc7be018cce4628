"""Hooks that guard what enters a model from a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ultrasam.checkpoints.state_dicts import check_fit, state_dict_of, without


@HOOKS.register_module()
class StrictCheckpointHook(Hook):
    """Stops a run whose checkpoint does not fit its model exactly.

    MMEngine loads with ``strict=False``: of a checkpoint of another architecture it prints the names and goes
    on with random weights. This hook compares names, shapes and finiteness first, for ``load_from``,
    ``resume`` and testing alike. A model can declare tolerated names, see
    :func:`~ultrasam.checkpoints.check_fit`.

    Args:
        allow_missing: Regular expressions of names that the checkpoint may lack.
        allow_unexpected: Regular expressions of names that it may have too many; these are dropped.
    """

    # Before the averaging hook of MMEngine, which copies the weights of the checkpoint.
    priority = 'VERY_HIGH'

    def __init__(self, *, allow_missing: Sequence[str] = (), allow_unexpected: Sequence[str] = ()) -> None:
        super().__init__()
        self.allow_missing = tuple(allow_missing)
        self.allow_unexpected = tuple(allow_unexpected)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Check the weights before they enter the model, and say how many do.

        Args:
            runner: The runner, whose model waits for the weights.
            checkpoint: The checkpoint; its weights are put under ``state_dict``, tolerated names left out.

        Raises:
            CheckpointError: A name is missing or unexpected, a shape differs, or a value is not finite.
        """
        source = getattr(checkpoint, 'source', '') or 'checkpoint'
        weights = state_dict_of(checkpoint, source)
        report = check_fit(
            runner.model,
            weights,
            source=source,
            allow_missing=self.allow_missing,
            allow_unexpected=self.allow_unexpected,
        )
        checkpoint['state_dict'] = without(weights, report.tolerated_unexpected)
        tolerated = len(report.tolerated_missing) + len(report.tolerated_unexpected)
        suffix = f' ({report.message})' if tolerated else ''
        runner.logger.info(f'loaded {report.matched} tensors from {source}{suffix}')
