"""COCO's figures at the end of a validation or test run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmdet.structures.mask import encode_mask_results
from mmengine.logging import MMLogger

from ultrasam.coco.records import open_records
from ultrasam.errors import ConfigError, InputError
from ultrasam.evaluation.coco_metric_figures import CocoCounts, CocoSet, choose_evaluator, count_matches
from ultrasam.evaluation.coco_metric_records import predictions_of, truth_of_file, truth_of_samples
from ultrasam.openmmlab.datasets.coco import content_of

_METRICS = ('bbox', 'segm', 'proposal')
_PRECISIONS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
_DIGITS = 6


@METRICS.register_module()
class UltraSamCocoMetric(CocoMetric):
    """mmdet's ``CocoMetric`` with a choice of the library that counts, and masks that are checked before it sees them.

    Figures have the names that mmdet gives them, and six digits. Without any prediction they are 0, where mmdet gives
    none; those of a class are called ``segm_CLASS_precision``. Ids of the truth may be texts, or 0.

    Args:
        ann_file: file of the truth; None takes it from the samples.
        metric: some of ``'bbox'``, ``'segm'`` and ``'proposal'``.
        evaluator: ``'auto'``, ``'faster-coco-eval'`` or ``'pycocotools'``; both count the same, the first is used
            where it is installed.
        **kwargs: as for ``CocoMetric``.

    Raises:
        AnnotationError: a file or a mask of the truth that cannot be used.
        ConfigError: settings that cannot work, or classes that the file does not have.
        InputError: a prediction that cannot be used.
    """

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | list[str] = 'bbox',
        *,
        evaluator: str = 'auto',
        **kwargs: Any,
    ) -> None:
        unknown = [one for one in ([metric] if isinstance(metric, str) else metric) if one not in _METRICS]
        if unknown:
            raise ConfigError(f'metric {unknown[0]!r}: give some of {", ".join(_METRICS)}')
        for option in ('use_mp_eval', 'sort_categories'):
            if kwargs.get(option):
                raise ConfigError(f'{option}: this metric has no such option; use evaluator=...')
        # the stock class would parse the file unchecked
        super().__init__(ann_file=None, metric=metric, **kwargs)
        if len(self.proposal_nums) != 3:
            raise ConfigError(f'proposal_nums={self.proposal_nums}: give three numbers of detections')
        self.ann_file = ann_file
        self.evaluator = choose_evaluator(evaluator)
        self._truth = None if ann_file is None else open_records(content_of(ann_file, self.backend_args))

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Note the predictions of a batch, and the truth if no file has it.

        Args:
            data_batch: not used.
            data_samples: with ``pred_instances``, ``img_id``, ``ori_shape``, and ``instances`` if no file has the
                truth.
        """
        for sample in data_samples:
            found = sample['pred_instances']
            prediction = {name: found[name].cpu().numpy() for name in ('bboxes', 'scores', 'labels')}
            prediction['img_id'] = sample['img_id']
            if 'masks' in found:
                masks = found['masks']
                is_dense = isinstance(masks, torch.Tensor)
                prediction['masks'] = (
                    encode_mask_results(masks.detach().cpu().numpy()) if is_dense else list(masks)
                )
            if 'mask_scores' in found:
                prediction['mask_scores'] = found['mask_scores'].cpu().numpy()
            truth = {'img_id': sample['img_id'], 'size_hw': tuple(sample['ori_shape'][:2])}
            if self._truth is None:
                if 'instances' not in sample:
                    raise ConfigError(
                        'the evaluator has no ann_file, and samples have no truth: name the file, or add '
                        "'instances' to the meta_keys that the test pipeline packs"
                    )
                truth['instances'] = sample['instances']
            self.results.append((truth, prediction))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The figures of all samples.

        Args:
            results: truth and prediction of each sample.
        """
        logger: MMLogger = MMLogger.get_current_instance()
        _check_ids([sample['img_id'] for sample, _ in results])
        samples, predictions = zip(*results, strict=True)
        if self._truth is None:
            self.cat_ids = list(range(len(self.dataset_meta['classes'])))
            truth = truth_of_samples(samples)
        else:
            self.cat_ids = self._categories_of(self._truth.index.categories)
            truth = truth_of_file(self._truth, self.cat_ids, str(self.ann_file))
        if self.outfile_prefix is not None:
            files = self.results2json(predictions, self.outfile_prefix)
            logger.info(f'results are saved in {", ".join(sorted(set(files.values())))}')
        figures: dict[str, float] = {}
        for metric in () if self.format_only else self.metrics:
            kind = 'bbox' if metric == 'proposal' else metric
            logger.info(f'Evaluating {metric} with {self.evaluator}...')
            found = predictions_of(predictions, truth, kind, len(self.cat_ids))
            counts = count_matches(
                CocoSet(truth.sizes_hw, len(self.cat_ids), truth.of_kind(kind), found),
                kind,
                evaluator=self.evaluator,
                detections=self.proposal_nums,
                overlaps=np.atleast_1d(self.iou_thrs),
                by_category=metric != 'proposal',
            )
            figures.update(self._reported(metric, counts, logger))
        return figures

    def _categories_of(self, categories: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Ids of the categories that the classes name, in the order of the file, which is that of labels."""
        classes = list(self.dataset_meta['classes'])
        known = [category for category in categories if category['name'] in classes]
        if [category['name'] for category in known] != classes:
            found = [category['name'] for category in categories]
            raise ConfigError(
                f'{self.ann_file} has the categories {found}, the data set the classes {classes}: give both the '
                'same, or ann_file=None, which takes the truth from the samples'
            )
        return [category['id'] for category in known]

    def _reported(self, metric: str, counts: CocoCounts, logger: MMLogger) -> dict[str, float]:
        """Figures of all categories, and of each if asked, by the names of mmdet."""
        all_figures = counts.figures()
        listed = ', '.join(f'{name} {value:.4f}' for name, value in all_figures.items())
        logger.info(f'{metric}: {listed}')
        recalls = [name for name in all_figures if name.startswith('AR')]
        chosen = self.metric_items or (recalls if metric == 'proposal' else _PRECISIONS)
        unknown = [name for name in chosen if name not in all_figures]
        if unknown:
            raise ConfigError(f'metric_items: {unknown[0]!r} is none of {", ".join(all_figures)}')
        start = '' if metric == 'proposal' else f'{metric}_'
        reported = {f'{start}{name}': round(all_figures[name], _DIGITS) for name in chosen}
        if self.classwise and metric != 'proposal':
            reported.update(self._by_class(metric, counts, logger))
        return reported

    def _by_class(self, metric: str, counts: CocoCounts, logger: MMLogger) -> dict[str, float]:
        precisions = {}
        for label, name in enumerate(self.dataset_meta['classes']):
            figures = counts.figures_of(label)
            listed = ', '.join(f'{key} {value:.4f}' for key, value in figures.items())
            logger.info(f'{metric}, {name}: {listed}')
            precisions[f'{metric}_{name}_precision'] = round(figures['mAP'], _DIGITS)
        return precisions


def _check_ids(ids: list[Any]) -> None:
    """See that there are samples, each of another image."""
    if not ids:
        raise InputError('no sample was evaluated: is the data set empty?')
    id_, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise InputError(
            f'{count} samples share the image id {id_!r}: their truths and predictions would be mixed up. '
            'Evaluate one data set at a time'
        )
