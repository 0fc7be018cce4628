"""Figures of classes that are predicted object by object, at the end of a validation or test run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.registry import METRICS

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.metrics.classification import ClassificationMetric


@METRICS.register_module()
class ObjectLabelMetric(ClassificationMetric):
    """:class:`ClassificationMetric` over objects: each counts once, however many its image has.

    Every prompt has one answer, so predictions and truth come in the same order and nothing is matched. Images without
    object add nothing. With ``multi_label`` an object is predicted to be of every class whose score reaches the
    threshold, else of the class of the highest score.

    Args:
        **options: those of :class:`ClassificationMetric`.
    """

    default_prefix = 'object'
    unit = 'objects'
    count_option = 'model.bbox_head.num_classes'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note scores and truth of a batch.

        Args:
            data_batch: not used.
            data_samples: with ``pred_instances.cls_scores`` (N, C), float, and ``gt_instances.labels`` (N,), int.

        Raises:
            ConfigError: predictions without class scores, or not one an object.
        """
        for sample in data_samples:
            predicted, truth = sample['pred_instances'], sample['gt_instances']
            name = sample.get('img_path', 'an image')
            if 'cls_scores' not in predicted or 'labels' not in truth:
                raise ConfigError(
                    f'{name}: predictions without cls_scores or objects without labels: evaluate a PromptedClassifier '
                    'on annotations with classes'
                )
            scores = predicted['cls_scores'].float().cpu().numpy()
            labels = truth['labels'].cpu().numpy()
            if len(scores) != len(labels):
                raise ConfigError(
                    f'{name}: {len(scores)} predictions for {len(labels)} objects: prompt every object once'
                )
            # one entry an image: the entries of all processes are cut to the number of images
            self.results.append((scores, labels))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of all objects.

        Args:
            results: scores (N, C) and labels (N,) of each image.

        Raises:
            AnnotationError: no image has an object.
            ConfigError: as :meth:`ClassificationMetric.compute_metrics`.
        """
        objects = [(one, labels[i : i + 1]) for scores, labels in results for i, one in enumerate(scores)]
        if not objects:
            raise AnnotationError(f'{len(results)} images without any object: there is no class to judge')
        return super().compute_metrics(objects)
