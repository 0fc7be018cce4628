"""MMEngine's runner, which reads checkpoints through this package while it runs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ultrasam.openmmlab.checkpoints.loader import safe_loading


def _safely(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: Runner, *args: Any, **kwargs: Any) -> Any:
        with safe_loading():
            return method(self, *args, **kwargs)

    return run


@RUNNERS.register_module()
class UltraSamRunner(Runner):
    """The runner of our configs: no code of a file runs through ``load_from``, ``resume`` or a ``Pretrained`` init_cfg.

    MMEngine's loaders stay as they are for everything else in the process. Takes the arguments of MMEngine's runner.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # what the library says goes where the run says its own
        library = logging.getLogger('ultrasam')
        library.setLevel(logging.INFO)
        library.handlers = list(self.logger.handlers)

    train = _safely(Runner.train)
    val = _safely(Runner.val)
    test = _safely(Runner.test)
    load_checkpoint = _safely(Runner.load_checkpoint)
    resume = _safely(Runner.resume)


def build_runner(cfg: Config) -> Runner:
    """Return the runner that a config names (``runner_type``), or MMEngine's."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
