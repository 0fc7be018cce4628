"""Optimizer wrappers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from ultrasam.errors import ConfigError


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Trains with matrix products in bfloat16, on any device, CPU included.

    MMEngine's ``AmpOptimWrapper`` needs an accelerator.  bfloat16 has the
    range of float32, so that no loss scale is needed; weights, optimiser
    state and the sums that need precision stay float32.

    Args:
        enabled: switch to compare with float32.
        **kwargs: arguments of MMEngine's ``OptimWrapper``.

    Raises:
        ConfigError: the device has no bfloat16.
    """

    def __init__(self, *, enabled: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.device_type = get_device()
        self.enabled = enabled
        if enabled and self.device_type == 'cuda' and not torch.cuda.is_bf16_supported():
            raise ConfigError(
                'this GPU has no bfloat16: train with OptimWrapper, or with AmpOptimWrapper in float16'
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass: autocast to bfloat16."""
        with (
            super().optim_context(model),
            torch.autocast(self.device_type, torch.bfloat16, enabled=self.enabled),
        ):
            yield
