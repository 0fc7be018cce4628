"""The detector of which adapters alone are trained."""

from __future__ import annotations

from typing import Any

from mmdet.registry import MODELS

from ultrasam.errors import ConfigError
from ultrasam.models.detector import UltraSam


@MODELS.register_module()
class AdaptedUltraSam(UltraSam):
    """UltraSam whose only trained parameters are the adapters of its image encoder.

    They are chosen when the model is built, so that a distributed wrapper and an optimizer see nothing else; frozen
    parameters get no gradient. The dropout of the frozen decoder stays on in training, as published.

    Args:
        **detector: arguments of :class:`UltraSam`; ``backbone`` is an encoder with adapters.

    Raises:
        ConfigError: the encoder has no adapters.
    """

    def __init__(self, **detector: Any) -> None:
        super().__init__(**detector)
        adapters = {f'backbone.{name}' for name in getattr(self.backbone, 'adapter_names', ())}
        if not adapters:
            raise ConfigError(
                f'{type(self.backbone).__name__} has no adapters: use LoraImageEncoder or MedSaImageEncoder, '
                'or train the whole model as UltraSam'
            )
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in adapters)

    @property
    def checkpoint_allow_missing(self) -> tuple[str, ...]:
        """What a checkpoint may lack, see the encoder."""
        return tuple(rf'backbone\.{pattern}' for pattern in self.backbone.checkpoint_allow_missing)
