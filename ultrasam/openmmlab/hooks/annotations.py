"""Metrics are of the samples that were predicted, or the run does not start."""

from __future__ import annotations

import filecmp
import os.path as osp
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.hooks.stages import built_loops


@HOOKS.register_module()
class SameAnnotationsHook(Hook):
    """Refuses a run whose evaluator has another annotation file than its data loader.

    Nothing else notices: prompts would be those of one file and the truth that of another, or images that were never
    predicted would count as misses. A metric without ``ann_file`` takes the truth from the samples and is always right.

    Raises:
        ConfigError: before the first step, where the files differ, the loader leaves out images of the file, or the
            file lacks classes of the model.
        AnnotationError: the file has ids that evaluators misread.
    """

    # before hooks that load or write anything
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Compare the files of the loops that this run has."""
        for stage, loop in built_loops(runner, 'val', 'test'):
            check_evaluator(stage, loop.dataloader.dataset, loop.evaluator, _settings(runner, stage))


def check_evaluator(stage: str, dataset: Any, evaluator: Any, settings: list[Any]) -> None:
    """See that every metric of an evaluator judges the samples of a data set.

    Args:
        stage: ``'val'`` or ``'test'``, for messages.
        dataset: of the data loader, wrapped or not.
        evaluator: of the loop.
        settings: what each of its metrics was built from: a config, or the metric itself.

    Raises:
        ConfigError: one judges others.
        AnnotationError: its file has ids that it misreads.
    """
    leaves = list(_leaves(dataset))
    loaded = [leaf.ann_file for leaf in leaves if getattr(leaf, 'ann_file', None)]
    for metric, setting in zip(evaluator.metrics, settings, strict=False):
        file = setting.get('ann_file') if isinstance(setting, Mapping) else getattr(setting, 'ann_file', None)
        if not file or not loaded:
            continue
        remedy = f'set {stage}_evaluator.ann_file and {stage}_dataloader.dataset.ann_file to the same file'
        odd = [one for one in loaded if not _is_same(one, file)]
        if odd or len(loaded) != len(leaves):
            raise ConfigError(
                f'{stage}_evaluator judges by {file}, the data loader reads {(odd or loaded)[0]}: {remedy}, or '
                f'{stage}_evaluator.ann_file=None to take the truth from the samples'
            )
        truth = _truth_of(metric)
        if truth is not None:
            _check_truth(stage, truth, dataset, file)


@dataclass(frozen=True)
class _Truth:
    """What a metric has read from its file: how many images, names of categories, ids that it misreads."""

    images: int
    names: frozenset[str]
    odd_ids: tuple[Any, ...]


def _truth_of(metric: Any) -> _Truth | None:
    """The truth of mmdet's metric or of ours; None of another one."""
    if (stock := getattr(metric, '_coco_api', None)) is not None:
        odd = tuple(id_ for id_ in stock.anns if type(id_) is not int or id_ == 0)
        return _Truth(len(stock.imgs), _names(stock.dataset.get('categories', ())), odd)
    if (records := getattr(metric, '_truth', None)) is not None:
        # our metric numbers the objects itself
        return _Truth(len(records), _names(records.index.categories), ())
    return None


def _names(categories: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(category.get('name')) for category in categories)


def _check_truth(stage: str, truth: _Truth, dataset: Any, file: str) -> None:
    """See that what a metric has read can judge the samples."""
    remedy = f'set {stage}_evaluator.ann_file=None to take the truth from the samples'
    if truth.images != len(dataset):
        raise ConfigError(
            f'{file} has {truth.images} images, the data loader gives {len(dataset)} samples of it: the rest '
            f'would count as missed. Use all of them (no filter_cfg, no indices), or {remedy}'
        )
    missing = [name for name in dataset.metainfo.get('classes', ()) if name not in truth.names]
    if missing:
        raise ConfigError(f'{file} has the categories {sorted(truth.names)}, not {missing}: {remedy}')
    if truth.odd_ids:
        raise AnnotationError(
            f'{file}: {len(truth.odd_ids)} annotations have ids such as {truth.odd_ids[0]!r}. Evaluators note the '
            f'id of a matched object as a number, and 0 stands for none: number them from 1 on, or {remedy}'
        )


def _leaves(dataset: Any) -> Iterator[Any]:
    """Data sets that read files, inside those that wrap them."""
    inner = getattr(dataset, 'datasets', None) or getattr(dataset, 'dataset', None)
    if inner is None:
        yield dataset
        return
    for one in inner if isinstance(inner, list | tuple) else [inner]:
        yield from _leaves(one)


def _settings(runner: Runner, stage: str) -> list[Any]:
    """What the metrics of a loop were built from, in order."""
    given = getattr(runner, f'_{stage}_evaluator')
    is_config = isinstance(given, Mapping)
    given = given.get('metrics', given) if is_config else getattr(given, 'metrics', given)
    return list(given) if isinstance(given, list | tuple) else [given]


def _is_same(one: str, other: str) -> bool:
    """Whether two paths are one file, or files of the same content."""
    if osp.isfile(one) and osp.isfile(other):
        return osp.samefile(one, other) or filecmp.cmp(one, other, shallow=False)
    return one == other
