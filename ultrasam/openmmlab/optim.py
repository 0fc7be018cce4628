"""Optimizer wrappers: steps that stay finite, with and without mixed precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS
from torch import Tensor, nn

from ultrasam.errors import ConfigError, TrainingError

_FEWEST_STEPS = 100


class FiniteSteps:
    """Mixed into an optimizer wrapper: a step whose loss or gradient is not finite changes no weight.

    All processes skip the same steps.  The gradient is checked when it is clipped, so that ``clip_grad`` costs nothing
    more, and a loss that is not finite spoils it.  With a loss scale, a gradient that overflows lowers the scale, as it
    should; it is counted only when that does not end.

    Args:
        most_in_a_row: steps skipped one after the other that end the run.
        largest_share: share of all steps skipped, after the first hundred, that ends the run.
        **kwargs: those of the wrapper.

    Raises:
        ConfigError: limits without meaning.
    """

    def __init__(self, *, most_in_a_row: int = 5, largest_share: float = 0.05, **kwargs: Any) -> None:
        if most_in_a_row < 1 or not 0 < largest_share <= 1:
            raise ConfigError(
                f'most_in_a_row={most_in_a_row}, largest_share={largest_share}: give at least 1, and a share in (0, 1]'
            )
        super().__init__(**kwargs)
        self.most_in_a_row = most_in_a_row
        self.largest_share = largest_share
        self.skipped: Counter[str] = Counter()
        self.in_a_row = 0
        self._steps = 0
        self._spoiled: str | None = None
        self._losses_are_finite: list[Tensor] = []
        self._gradient_norm: Tensor | None = None

    def update_params(
        self,
        loss: Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Accumulate the gradient of a loss, and step when it is time.

        Args:
            loss: scalar.
            step_kwargs: for ``Optimizer.step``.
            zero_kwargs: for ``Optimizer.zero_grad``.

        Raises:
            TrainingError: too many steps were skipped.
        """
        wrapper: Any = self
        loss = wrapper.scale_loss(loss)
        # a loss that is not finite spoils every gradient, so that processes agree through these, without a collective
        finite = torch.isfinite(loss.detach()).all()
        self._losses_are_finite.append(finite)
        wrapper.backward(loss * torch.where(finite, 1.0, float('nan')))
        if not wrapper.should_update():
            return
        self._steps += 1
        wrapper.step(**(step_kwargs or {}))
        spoiled, self._spoiled = self._spoiled, None
        if spoiled and not bool(torch.stack(self._losses_are_finite).all()):
            spoiled = 'loss'
        self._losses_are_finite.clear()
        wrapper.zero_grad(**(zero_kwargs or {}))
        self._account(spoiled)

    def _account(self, spoiled: str | None) -> None:
        if spoiled is None:
            self.in_a_row = 0
            return
        self.skipped[spoiled] += 1
        self.in_a_row += 1
        total = sum(self.skipped.values())
        often = self._steps >= _FEWEST_STEPS and total > self.largest_share * self._steps
        if self.in_a_row >= self.most_in_a_row or often:
            raise TrainingError(
                f'{total} of {self._steps} steps had a {spoiled} that is not finite, {self.in_a_row} of them in a row: '
                'the run ends here, before a checkpoint could keep its weights. Look at the images named in the log; '
                'lower the learning rate, lengthen the warm-up, or train in float32 or bfloat16.'
            )

    def _clip_grad(self) -> None:
        wrapper: Any = self
        params = [
            p for group in wrapper.optimizer.param_groups for p in group['params'] if p.grad is not None
        ]
        norm = wrapper.clip_func(params, **wrapper.clip_grad_kwargs) if params else None
        self._gradient_norm = None if norm is None else torch.as_tensor(norm)
        if self._gradient_norm is not None and bool(torch.isfinite(self._gradient_norm)):
            wrapper.message_hub.update_scalar(f'train/{wrapper.grad_name}', float(self._gradient_norm))

    def _gradient_is_finite(self) -> bool:
        """Whether every gradient is; the norm that clipping left tells, where there is one."""
        norm, self._gradient_norm = self._gradient_norm, None
        if norm is not None:
            return bool(torch.isfinite(norm))
        groups: Any = self.optimizer.param_groups  # type: ignore[attr-defined]
        grads = [p.grad for group in groups for p in group['params'] if p.grad is not None]
        return not grads or bool(torch.isfinite(torch.stack(torch._foreach_norm(grads))).all())


@OPTIM_WRAPPERS.register_module()
class FiniteOptimWrapper(FiniteSteps, OptimWrapper):
    """MMEngine's ``OptimWrapper`` whose steps stay finite.

    Args:
        **kwargs: those of :class:`FiniteSteps` and of MMEngine's wrapper.
    """

    def step(self, **kwargs: Any) -> None:
        """Clip the gradient, and step if it is finite."""
        if self.clip_grad_kwargs:
            self._clip_grad()
        if self._gradient_is_finite():
            self.optimizer.step(**kwargs)
        else:
            self._spoiled = 'gradient'


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(FiniteOptimWrapper):
    """Trains with matrix products in bfloat16, on any device, CPU included.

    MMEngine's ``AmpOptimWrapper`` needs an accelerator.  bfloat16 has the
    range of float32, so that no loss scale is needed; weights, optimiser
    state and the sums that need precision stay float32.

    Args:
        enabled: switch to compare with float32.
        **kwargs: arguments of :class:`FiniteOptimWrapper`.

    Raises:
        ConfigError: the device has no bfloat16.
    """

    def __init__(self, *, enabled: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.device_type = get_device()
        self.enabled = enabled
        if enabled and self.device_type == 'cuda' and not torch.cuda.is_bf16_supported():
            raise ConfigError(
                'this GPU has no bfloat16: train with FiniteOptimWrapper, or with Float16OptimWrapper'
            )

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass: autocast to bfloat16."""
        with (
            super().optim_context(model),
            torch.autocast(self.device_type, torch.bfloat16, enabled=self.enabled),
        ):
            yield


@OPTIM_WRAPPERS.register_module()
class Float16OptimWrapper(FiniteSteps, AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` (float16 with a loss scale, on an accelerator), whose losses stay finite.

    Args:
        **kwargs: those of :class:`FiniteSteps` and of MMEngine's wrapper.

    Raises:
        ConfigError: there is no accelerator.
    """

    def __init__(self, **kwargs: Any) -> None:
        if get_device() == 'cpu':
            raise ConfigError('float16 needs an accelerator: use BFloat16OptimWrapper on a CPU')
        super().__init__(**{'dtype': 'float16', **kwargs})

    def step(self, **kwargs: Any) -> None:
        """Step unless the scaled gradient overflowed, and adapt the scale."""
        before = self.loss_scaler.get_scale()
        super().step(**kwargs)
        self._gradient_norm = None
        # the scaler skips such a step by itself; with the smallest scale that is no longer an accident
        if self.loss_scaler.get_scale() < before <= 1:
            self._spoiled = 'gradient'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives the optimizer the parameters that want a gradient, and no others; MMEngine's own gives it all of them."""

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer of a model.

        Raises:
            ConfigError: Every parameter is frozen.
        """
        wrapper: OptimWrapper = super().__call__(model)
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group['params'] = [parameter for parameter in group['params'] if parameter.requires_grad]
        groups[:] = [group for group in groups if group['params']]
        if not groups:
            raise ConfigError('every parameter of the model is frozen: there is nothing to train')
        return wrapper
