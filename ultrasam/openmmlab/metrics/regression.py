"""Figures of predicted values at the end of a validation or test run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import METRICS
from mmengine.visualization import Visualizer

from ultrasam.errors import ConfigError
from ultrasam.evaluation.regression import regression_figures
from ultrasam.evaluation.regression_plots import draw_agreement


@METRICS.register_module()
class AgreementMetric(BaseMetric):
    """Mean absolute error, root mean squared error, R2, bias and limits of agreement, and a picture of the agreement.

    With several values each figure has the name of its value behind it, as in ``mae_width``. A figure that the data do
    not define is left out, and named in the log.

    Args:
        draw: draw the agreement.
        **kwargs: those of ``BaseMetric``.
    """

    default_prefix = 'regression'

    def __init__(self, *, draw: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.draw = draw

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note the values of a batch.

        Args:
            data_batch: not used.
            data_samples: with ``pred_score`` and ``gt_score``, (K,), float.
        """
        for sample in data_samples:
            self.results.append(
                (sample['pred_score'].float().cpu().numpy(), sample['gt_score'].float().cpu().numpy())
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of all images.

        Args:
            results: predicted and measured values of each image.

        Raises:
            ConfigError: the model predicts another number of values than the data have.
        """
        predicted = np.stack([one for one, _ in results])
        measured = np.stack([one for _, one in results])
        names = tuple(
            (self.dataset_meta or {}).get('values') or (f'value {i}' for i in range(measured.shape[1]))
        )
        if predicted.shape != measured.shape or len(names) != measured.shape[1]:
            raise ConfigError(
                f'the model predicts {predicted.shape[1]} values, the data have {measured.shape[1]} '
                f'({", ".join(names)}): set mean and std of model.head, or values of the dataset'
            )
        numbers: dict[str, float] = {}
        for name, ours, theirs in zip(names, predicted.T, measured.T, strict=True):
            figures = regression_figures(ours, theirs)
            suffix = '' if len(names) == 1 else f'_{name}'
            numbers |= {f'{key}{suffix}': value for key, value in figures.numbers().items()}
            if self.draw:
                step = int(MessageHub.get_current_instance().get_info('iter') or 0)
                picture = draw_agreement(ours, theirs, figures, name)
                Visualizer.get_current_instance().add_image(f'{self.prefix}_agreement{suffix}', picture, step)
        unknown = [key for key, value in numbers.items() if not np.isfinite(value)]
        if unknown:
            logger: MMLogger = MMLogger.get_current_instance()
            logger.warning(f'{", ".join(unknown)}: too few images, or all of one value')
        return {key: round(value, 6) for key, value in numbers.items() if np.isfinite(value)}
