"""MMEngine's runner, which reads checkpoints through this package while it runs."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from ultrasam.openmmlab.checkpoints.loader import safe_loading


def _safely(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: Runner, *args: Any, **kwargs: Any) -> Any:
        with safe_loading():
            return method(self, *args, **kwargs)

    return run


def _is_no_parameter_option(record: logging.LogRecord) -> bool:
    """Tell whether a message is none of the lines, one a parameter, of MMEngine's constructor of optimizers."""
    message = record.getMessage()
    return (
        not message.startswith('paramwise_options -- ')
        and ' is skipped since its requires_grad=' not in message
    )


def describe_trained(model: nn.Module, wrapper: OptimWrapper) -> str:
    """Return a line that says how many parameters are trained, and with which learning rates and weight decays."""
    groups: Counter[tuple[float, float]] = Counter()
    for group in wrapper.param_groups:
        count = sum(parameter.numel() for parameter in group['params'] if parameter.requires_grad)
        groups[group['lr'], group.get('weight_decay', 0.0)] += count
    total = sum(parameter.numel() for parameter in model.parameters())
    listed = '; '.join(
        f'{count:,} with lr {rate:g}, weight decay {decay:g}'
        for (rate, decay), count in sorted(groups.items(), reverse=True)
        if count
    )
    return f'{groups.total():,} of {total:,} parameters are trained: {listed}'


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

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Return the optimizer wrapper of a config; the log gets one line for it, not one a parameter."""
        self.logger.addFilter(_is_no_parameter_option)
        try:
            built = super().build_optim_wrapper(optim_wrapper)
        finally:
            self.logger.removeFilter(_is_no_parameter_option)
        if isinstance(built, OptimWrapper):
            self.logger.info(describe_trained(self.model, built))
        return built

    train = _safely(Runner.train)
    val = _safely(Runner.val)
    test = _safely(Runner.test)
    load_checkpoint = _safely(Runner.load_checkpoint)
    resume = _safely(Runner.resume)


def build_runner(cfg: Config) -> Runner:
    """Return the runner that a config names (``runner_type``), or MMEngine's."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
