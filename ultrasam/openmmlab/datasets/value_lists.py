"""Images with measured values, from lists of file names and numbers; registered with mmpretrain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.datasets.class_lists import ClassListDataset


@DATASETS.register_module()
class ValueListDataset(ClassListDataset):
    """Images and what was measured on each, with the checks of :class:`ClassListDataset`.

    A line of the list is a file name, a blank and a number; with several values as many numbers, joined by commas.

    Args:
        *args: as for ``CustomDataset``.
        values: name of each value, such as ``('circumference_px',)``.
        **kwargs: as for ``CustomDataset``; ``ann_file`` is needed.

    Raises:
        ConfigError: no list or no values are named, or one of them twice.
        AnnotationError: a list that is missing, empty or damaged, with another number of values, with values that are
            not finite, images that are not on disk or named twice, or, in training, of one value only.
    """

    def __init__(self, *args: Any, values: Sequence[str], **kwargs: Any) -> None:
        names = (values,) if isinstance(values, str) else tuple(values)
        if not names or len(set(names)) < len(names):
            raise ConfigError(f'values {names}: name each value of the list once')
        # the list, and what is read of it, are those of classes
        metainfo = {**(kwargs.pop('metainfo', None) or {}), 'classes': names, 'values': names}
        super().__init__(*args, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Samples with ``img_path`` and ``gt_score``, (K,), float32."""
        samples = super().load_data_list()
        for sample in samples:
            sample['gt_score'] = np.array(sample.pop('gt_label'), np.float32)
        return samples

    def _label(self, text: str, number: int) -> Any:
        names = self.metainfo['values']
        parts = text.split(',')
        if len(parts) != len(names):
            raise self._fault(
                number, f'{text!r} has {len(parts)} values, {len(names)} are named ({", ".join(names)})'
            )
        try:
            found = [float(part) for part in parts]
        except ValueError as error:
            raise self._fault(number, f'{text!r} is no number') from error
        # the largest float32 is the limit of what is learned
        if not all(math.isfinite(value) and abs(value) <= np.finfo(np.float32).max for value in found):
            raise self._fault(number, f'{text!r} is not finite')
        return found

    def _check_counts(self, samples: list[dict[str, Any]]) -> None:
        found = np.array([sample['gt_label'] for sample in samples])
        for name, column in zip(self.metainfo['values'], found.T, strict=True):
            print_log(
                f'{self.ann_file}: {len(column)} images, {name} {column.min():g} to {column.max():g}, mean '
                f'{column.mean():.4g}, standard deviation {column.std():.4g}',
                'current',
            )
            if not self.test_mode and column.min() == column.max():
                raise AnnotationError(
                    f'{self.ann_file}: {name} is {column[0]:g} of all {len(column)} images: there is nothing to learn'
                )
