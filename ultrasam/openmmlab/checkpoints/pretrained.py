"""``init_cfg=dict(type='Pretrained', ...)``, with an exact account of what entered the module and what did not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.model.weight_init import update_init_info
from mmengine.runner import CheckpointLoader

from ultrasam.checkpoints.state_dicts import (
    KeyReport,
    check_finite,
    matches,
    may_be_missing,
    mistyped_of,
    state_dict_of,
)
from ultrasam.errors import CheckpointError

COLLECTIONS = ('torchvision://', 'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://')
"""Addresses of image classifiers by name, whose last layers nobody else has a use for."""

_CLASSIFIER_HEADS = (r'fc\..*', r'classifier\..*', r'heads?\..*')


class StrictPretrainedInit(PretrainedInit):
    """Initialises a module from a checkpoint, and refuses one that does not fit it.

    MMEngine loads what it can and logs the rest; a wrong prefix then leaves the module as it was drawn at random.

    Args:
        checkpoint: File or address, as for :class:`mmengine.runner.CheckpointLoader`.
        prefix: Prefix of the names that are meant; all others are left out. None takes all.
        map_location: Device of the tensors.
        allow_missing: Regular expressions of names that the checkpoint may lack, beside those that the module
            declares (see :func:`~ultrasam.checkpoints.check_fit`).
        allow_unexpected: The same for names that it may have too many. The heads of classifiers that come from
            a collection (``torchvision://`` and its like) are always allowed.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: str = 'cpu',
        allow_missing: Sequence[str] = (),
        allow_unexpected: Sequence[str] = (),
    ) -> None:
        super().__init__(checkpoint, prefix, map_location)
        self.allow_missing = tuple(allow_missing)
        self.allow_unexpected = tuple(allow_unexpected)

    def __call__(self, module: torch.nn.Module) -> None:
        """Load the weights and log the account.

        Args:
            module: The module to initialise.

        Raises:
            CheckpointError: The checkpoint is unsafe, does not fit, or holds values that are not finite.
        """
        checkpoint = CheckpointLoader.load_checkpoint(self.checkpoint, self.map_location, 'silent')
        weights = state_dict_of(checkpoint, self.checkpoint)
        chosen = self._without_prefix(weights)
        check_finite(chosen, self.checkpoint)
        report = self._load(module, chosen)
        outside = len(weights) - len(chosen)
        others = f'; {outside} outside the prefix {self.prefix!r} left out' if outside else ''
        print_log(
            f'{type(module).__name__} initialised from {self.checkpoint}: {report.message}{others}',
            logger='current',
        )
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())

    def _without_prefix(self, weights: OrderedDict[str, torch.Tensor]) -> OrderedDict[str, torch.Tensor]:
        if self.prefix is None:
            return weights
        prefix = self.prefix if self.prefix.endswith('.') else f'{self.prefix}.'
        chosen = OrderedDict((k.removeprefix(prefix), v) for k, v in weights.items() if k.startswith(prefix))
        if not chosen:
            parts = sorted({name.split('.')[0] for name in weights})
            raise CheckpointError(
                f'{self.checkpoint}: has no weights under the prefix {prefix!r}; its parts are {", ".join(parts[:10])}.'
            )
        return chosen

    def _load(self, module: torch.nn.Module, weights: OrderedDict[str, torch.Tensor]) -> KeyReport:
        """Load with torch itself: a module may convert what it is given (position embeddings) while it loads."""
        wrong = mistyped_of(module.state_dict(), weights)
        try:
            missing, unexpected = module.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise CheckpointError(
                f'{self.checkpoint}: does not fit {type(module).__name__}: {error}. Use the checkpoint of this '
                'architecture.'
            ) from error
        may_miss = (*getattr(module, 'checkpoint_allow_missing', ()), *self.allow_missing)
        from_collection = str(self.checkpoint).startswith(COLLECTIONS)
        may_exceed = (
            *getattr(module, 'checkpoint_allow_unexpected', ()),
            *self.allow_unexpected,
            *(_CLASSIFIER_HEADS if from_collection else ()),
        )
        report = KeyReport(
            matched=len(weights) - len(unexpected),
            missing=tuple(name for name in missing if not may_be_missing(name, may_miss)),
            unexpected=tuple(name for name in unexpected if not matches(name, may_exceed)),
            mistyped=wrong,
            tolerated_missing=tuple(name for name in missing if may_be_missing(name, may_miss)),
            tolerated_unexpected=tuple(name for name in unexpected if matches(name, may_exceed)),
        )
        if not report.fits:
            raise CheckpointError(
                f'{self.checkpoint}: does not fit {type(module).__name__}: {report.message}. Name the right prefix, or '
                'declare what may differ: allow_missing and allow_unexpected of the init_cfg, lists of regular '
                'expressions.'
            )
        return report
