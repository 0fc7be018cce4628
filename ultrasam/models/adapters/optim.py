"""An optimizer for the few parameters that are trained."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ultrasam.errors import ConfigError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives the optimizer the parameters that want a gradient, and no others.

    MMEngine's own gives it all of them.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer of a model.

        Raises:
            ConfigError: every parameter is frozen.
        """
        wrapper: OptimWrapper = super().__call__(model)
        groups = wrapper.optimizer.param_groups
        for group in groups:
            group['params'] = [parameter for parameter in group['params'] if parameter.requires_grad]
        groups[:] = [group for group in groups if group['params']]
        if not groups:
            raise ConfigError('every parameter of the model is frozen: there is nothing to train')
        return wrapper
