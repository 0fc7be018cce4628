"""The loops that a run has."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop


def built_loops(runner: Runner, *stages: str) -> Iterator[tuple[str, BaseLoop]]:
    """The loops of a run that are built already; asking the runner for one would build it.

    Args:
        runner: before its run.
        *stages: ``'train'``, ``'val'``, ``'test'``.

    Yields:
        Stage and loop.
    """
    for stage in stages:
        loop = getattr(runner, f'_{stage}_loop', None)
        if isinstance(loop, BaseLoop):
            yield stage, loop
