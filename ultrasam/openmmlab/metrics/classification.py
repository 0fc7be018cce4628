"""Figures of a classifier at the end of a validation or test run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import METRICS
from mmengine.visualization import Visualizer

from ultrasam.errors import ConfigError
from ultrasam.evaluation.classification import (
    Figures,
    confusion_matrix,
    decision_matrix,
    multi_label_figures,
    probabilities,
    single_label_figures,
)
from ultrasam.evaluation.classification_plots import draw_counts

_DECISIONS = ('found', 'missed', 'wrongly predicted', 'rightly not')


@METRICS.register_module()
class ClassificationMetric(BaseMetric):
    """Macro precision, recall, F1, AUC and average precision, accuracy, balanced accuracy, calibration, and a matrix.

    Figures are shares, not percentages; F1, recall, AUC and average precision of each class are logged beside the
    means. An AUC that the data do not define is left out, and named in the log. The matrix, of confusion or, with
    ``multi_label``, of decisions by class, is a picture of the run.

    Args:
        multi_label: an image may have any number of classes.
        threshold: score from which a class is predicted, with ``multi_label``.
        draw: draw the matrix.
        **kwargs: those of ``BaseMetric``.

    Raises:
        ConfigError: a threshold outside 0 to 1.
    """

    default_prefix = 'classification'
    # what is counted, and which option of a config sets how many classes are scored: for messages
    unit = 'images'
    count_option = 'model.head.num_classes'

    def __init__(
        self, *, multi_label: bool = False, threshold: float = 0.5, draw: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < threshold < 1:
            raise ConfigError(f'threshold {threshold}: give one between 0 and 1')
        self.multi_label = multi_label
        self.threshold = threshold
        self.draw = draw

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note scores and truth of a batch.

        Args:
            data_batch: not used.
            data_samples: with ``pred_score`` (C,), float, and ``gt_label`` (L,), int.
        """
        for sample in data_samples:
            labels = sample['gt_label'].cpu().numpy()
            self.results.append((sample['pred_score'].float().cpu().numpy(), labels))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of all images.

        Args:
            results: scores and labels of each image.

        Raises:
            ConfigError: images of several classes without ``multi_label``, or scores of another number of classes
                than the data have.
        """
        scores = np.stack([one for one, _ in results])
        truth = np.zeros(scores.shape, bool)
        for row, (_, labels) in zip(truth, results, strict=True):
            row[labels] = True
        names = self._names(scores.shape[1])
        if self.multi_label:
            figures = multi_label_figures(scores, truth, self.threshold)
            counts = decision_matrix(truth, scores >= self.threshold)
            columns: Sequence[str] = _DECISIONS
        else:
            if (truth.sum(axis=1) != 1).any():
                raise ConfigError(
                    f'{self.unit} of none or several classes: set multi_label=True of the metric'
                )
            labels = truth.argmax(axis=1)
            figures = single_label_figures(scores, labels)
            counts = confusion_matrix(labels, probabilities(scores).argmax(axis=1), len(names))
            columns = names
        self._log(figures, names, counts)
        if self.draw:
            self._draw(counts, names, columns)
        return _rounded(figures, names)

    def _names(self, count: int) -> list[str]:
        names = list((self.dataset_meta or {}).get('classes') or [f'class {index}' for index in range(count)])
        if len(names) != count:
            raise ConfigError(
                f'the model scores {count} classes, the data have {len(names)} ({", ".join(names)}): set '
                f'{self.count_option} or metainfo.classes of the dataset'
            )
        return names

    def _log(self, figures: Figures, names: Sequence[str], counts: np.ndarray) -> None:
        logger: MMLogger = MMLogger.get_current_instance()
        of = figures.per_class
        for index, name in enumerate(names):
            logger.info(
                f'{name}: {of.support[index]} {self.unit}, precision {of.precision[index]:.4f}, recall '
                f'{of.recall[index]:.4f}, F1 {of.f1[index]:.4f}, AUC {of.auc[index]:.4f}; row of the matrix '
                f'{counts[index].tolist()}'
            )
        unknown = [name for index, name in enumerate(names) if not np.isfinite(of.auc[index])]
        if unknown:
            logger.warning(f'no AUC of {", ".join(unknown)}: all {self.unit} are of the class, or none is')

    def _draw(self, counts: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> None:
        step = int(MessageHub.get_current_instance().get_info('iter') or 0)
        title = 'classes by decision' if self.multi_label else 'true class (row) by predicted class (column)'
        picture = draw_counts(counts, rows, columns, title)
        Visualizer.get_current_instance().add_image(f'{self.prefix}_confusion', picture, step)


def _rounded(figures: Figures, names: Sequence[str]) -> dict[str, float]:
    of = figures.per_class
    numbers = figures.means()
    for index, name in enumerate(names):
        numbers[f'f1_{name}'] = float(of.f1[index])
        numbers[f'recall_{name}'] = float(of.recall[index])
        numbers[f'auc_{name}'] = float(of.auc[index])
        numbers[f'average_precision_{name}'] = float(of.average_precision[index])
    return {name: round(value, 6) for name, value in numbers.items() if np.isfinite(value)}
