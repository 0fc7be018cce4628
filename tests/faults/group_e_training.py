"""Group E, what training and testing read: the data set class, its masks, and the file that an evaluator judges by."""

from __future__ import annotations

import functools
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmdet.datasets import CocoDataset
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module

import ultrasam.openmmlab.registry  # noqa: F401 (registers the data set, metrics and hooks)
from tests.corpus.tools.tiny import coco, read, write_dataset, write_json
from tests.faults import group_e, group_e_files, group_e_masks
from tests.faults.group_e import FileFault, records
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived
from ultrasam.errors import AnnotationError, UltraSamError
from ultrasam.masks.segmentation import decode_segmentation, is_empty_segmentation, segmentation_fault
from ultrasam.openmmlab.datasets import UltraSamCocoDataset

CLASSES = ('kind1', 'kind2')
# mmengine collects garbage for each data set that it builds, and what torch holds is none
gc.freeze()
Samples = dict[str, Any]


def build(kind: type[CocoDataset], path: Path, **options: Any) -> CocoDataset:
    """The data set of an annotation file, as the configs build it."""
    logging.disable(logging.CRITICAL)
    settings: dict[str, Any] = {'metainfo': {'classes': CLASSES}, 'test_mode': True, 'pipeline': []}
    images = path.parents[1] / 'images'
    return kind(ann_file=str(path), data_prefix={'img': str(images)}, **{**settings, **options})


def samples_of(data: CocoDataset) -> Samples:
    """Size and objects of each image that a data set gives, whatever the ids."""
    found: Samples = {}
    for number in range(len(data)):
        info = data.get_data_info(number)
        objects = [(one['bbox'], one['bbox_label'], one.get('mask')) for one in info['instances']]
        name = str(Path(info['img_path']).resolve()) + ('' if info['img_path'] not in found else ' again')
        found[name] = (info['height'], info['width'], objects)
    return found


def trials(arena: Arena, cases: Sequence[FileFault]) -> Iterator[Trial]:
    """A trial for each fault: our data set class, or mmdet's."""
    for number, case in enumerate(cases):
        path = group_e.data_set(arena.work / str(number))
        clean = samples_of(build(CocoDataset, path))
        case.plant(path)
        judge = judge_ours if arena.ours else judge_stock
        yield Trial(case.name, functools.partial(judge, case, clean, path))


def judge_ours(case: FileFault, clean: Samples, path: Path) -> Verdict:
    """Refused by an error that names the file, or the right samples."""
    try:
        found = samples_of(build(UltraSamCocoDataset, path))
    except AnnotationError as error:
        return (
            survived(str(error)) if str(path) in str(error) else lossy(f'{path.name} is not named: {error}')
        )
    except Exception as error:
        return lossy(f'{type(error).__name__}: {error}')
    return (
        survived()
        if found == clean and not case.on_disk
        else quiet('other samples than the file is meant to have')
    )


def judge_stock(case: FileFault, clean: Samples, path: Path) -> Verdict:
    """Any error survives, and so do the right samples."""
    try:
        found = samples_of(build(CocoDataset, path))
    except Exception as error:
        return survived(f'{type(error).__name__}: {error}')
    return (
        survived()
        if found == clean and not case.on_disk
        else quiet('other samples than the file is meant to have')
    )


@fault('E1.training', 'ids and file names that are there twice, in training', stock_losses=0.3)
def double(arena: Arena) -> Iterator[Trial]:
    again = records('annotation ids', lambda c: group_e.same_id(c, 'annotations'))
    yield from trials(arena, [*group_e.DOUBLES, again])


@fault('E2.training', 'categories that are not those of the config, in training', stock_losses=0.3)
def categories(arena: Arena) -> Iterator[Trial]:
    others = [
        records('renamed', lambda c: c['categories'][0].update(name='other')),
        records('in another order', lambda c: c['categories'].reverse()),
    ]
    yield from trials(arena, [*group_e.CATEGORIES, *others])


@fault('E3.training', 'annotations without image and images that are missing, in training', stock_losses=0.3)
def orphans(arena: Arena) -> Iterator[Trial]:
    yield from trials(arena, [*group_e.ORPHANS, group_e.MISSING])


@fault('E5.training', 'boxes, areas, sizes and ids that cannot be, in training', stock_losses=0.3)
def values(arena: Arena) -> Iterator[Trial]:
    odd = [records(name, change) for name, change in group_e.IDS.items()]
    yield from trials(arena, [*group_e.VALUES, *group_e.AREAS, *odd])


@fault(
    'E6.training',
    'file names that leave the folder of their images, in training',
    stock_losses=0.5,
    budget_s=30,
)
def names(arena: Arena) -> Iterator[Trial]:
    yield from trials(arena, group_e_files.escaping(arena))


@fault('E7.training', 'files that are cut, in another code, nested, or empty, in training', stock_losses=0.03)
def damage(arena: Arena) -> Iterator[Trial]:
    cases = [FileFault(name, group_e_files.text_of(change)) for name, change in group_e_files.DAMAGES.items()]
    no_images = FileFault('no images', group_e_files.empty_alone)
    yield from trials(arena, [*cases, *group_e_files.EMPTY, no_images])


def judge_masks(batch: Sequence[group_e_masks.Named]) -> list[Verdict]:
    """Each mask by the check before pycocotools; what passes has to decode to the right pixels."""
    verdicts = []
    for _, segmentation in batch:
        try:
            found = segmentation_fault(segmentation, *group_e_masks.HW)
            mask = None if found else decode_segmentation(segmentation, *group_e_masks.HW)
        except Exception as error:
            verdicts.append(lossy(f'{type(error).__name__}: {error}'))
            continue
        claimed = group_e_masks.pixels_if_sound(segmentation)
        if mask is None:
            is_good = claimed is not None and claimed >= 0
            verdicts.append(lossy(f'a good mask is refused: {found}') if is_good else survived(found or ''))
        elif is_empty_segmentation(segmentation):
            verdicts.append(survived('no mask') if not mask.any() else quiet('a mask out of nothing'))
        else:
            is_right = mask.shape == group_e_masks.HW and claimed in (-1, int(mask.sum()))
            verdicts.append(survived() if is_right else quiet(f'{mask.sum()} pixels, not {claimed}'))
    return verdicts


@fault('E4.training', 'malformed and mutated masks, in training', stock_losses=0.2, seed=5, budget_s=120)
def masks(arena: Arena) -> Iterator[Trial]:
    changed = group_e_masks.mutations(500 if arena.full else 60, arena.seed)
    # forks of this process are slow: the stock library has met all of them in another group
    cases = [*group_e_masks.malformed(), *changed] if arena.ours else group_e_masks.malformed()[::6]
    yield from group_e_masks.mask_trials(arena, cases, judge_masks)


class Reached(Exception):  # noqa: N818 (no error)
    """A run has come to its first step."""


class NoModel(BaseModel):
    """Its first step ends the run."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, *args: Any, **options: Any) -> Any:
        """Say that the run has begun."""
        raise Reached


def begin(arena: Arena, stage: str, path: Path, evaluator: Any, **options: Any) -> None:
    """Start a test, or a validation, with a data loader for a file and an evaluator for another."""
    runner_module.collect_env = dict
    dataset = {
        'type': 'UltraSamCocoDataset' if arena.ours else 'CocoDataset',
        'ann_file': str(path),
        'data_prefix': {'img': str(path.parents[1] / 'images')},
        'metainfo': {'classes': CLASSES},
        'test_mode': True,
        'pipeline': [{'type': 'mmdet.PackDetInputs', 'meta_keys': ('img_id',)}],
        **options,
    }
    loader = {'batch_size': 1, 'dataset': dataset, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    # the same hook that the configs name
    hooks = {'same_annotations': {'type': 'SameAnnotationsHook'}} if arena.ours else {}
    settings = {f'{stage}_dataloader': loader, f'{stage}_cfg': {}, f'{stage}_evaluator': evaluator}
    runner = Runner(
        NoModel(),
        str(arena.work / 'run'),
        default_hooks=hooks,
        default_scope='mmdet',
        log_level='CRITICAL',
        **settings,
    )
    getattr(runner, stage)()


def other_file(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of an annotation file with a change."""
    content = read(path)
    change(content)
    target = path.with_name(f'changed.{path.name}')
    write_json(target, content)
    return target


def judge_start(start: Callable[[], None], arena: Arena, *, may_start: bool) -> Verdict:
    """Whether a run starts, or is refused by an error of ours."""
    try:
        start()
    except Reached:
        return survived() if may_start else quiet('starts, and judges by another file')
    except UltraSamError as error:
        return lossy(f'a right run is refused: {error}') if may_start else survived(str(error))
    except Exception as error:
        note = f'{type(error).__name__}: {error}'
        return lossy(note) if arena.ours or may_start else survived(note)
    return quiet('ended without a step')


@fault(
    'E9.evaluator', 'an evaluator that judges by another file than the data loader reads', stock_losses=0.5
)
def evaluators(arena: Arena) -> Iterator[Trial]:
    path = group_e.data_set(arena.work / 'data')
    metric = {'type': 'UltraSamCocoMetric' if arena.ours else 'CocoMetric', 'metric': 'bbox'}
    test = path.with_name(f'test.{path.name}')
    fewer = other_file(path, lambda c: c['annotations'].pop())
    zero = other_file(test, lambda c: c['annotations'][0].update(id=0))
    renamed = write_dataset(arena.work, 'renamed', coco({'p': [5]})) / 'annotations/renamed__coco.json'
    same = path.with_name('same.json')
    same.write_bytes(path.read_bytes())
    link = path.with_name('link.json')
    link.symlink_to(path)
    cases: dict[str, tuple[bool, Path, Any, dict[str, Any]]] = {
        'another part': (False, path, {**metric, 'ann_file': str(test)}, {}),
        'one object less': (False, path, {**metric, 'ann_file': str(fewer)}, {}),
        'second metric of another part': (
            False,
            path,
            [{**metric, 'ann_file': str(path)}, {**metric, 'ann_file': str(test)}],
            {},
        ),
        'some samples': (False, path, {**metric, 'ann_file': str(path)}, {'indices': 3}),
        'ids from 0 on, for the metric of mmdet': (
            False,
            zero,
            {'type': 'CocoMetric', 'metric': 'bbox', 'ann_file': str(zero)},
            {},
        ),
        'other classes': (
            False,
            renamed,
            {**metric, 'ann_file': str(renamed)},
            {'metainfo': {'classes': ('object',)}, **({'class_agnostic': True} if arena.ours else {})},
        ),
        'the same file': (True, path, {**metric, 'ann_file': str(path)}, {}),
        'a link to it': (True, path, {**metric, 'ann_file': str(link)}, {}),
        'a copy of it': (True, path, {**metric, 'ann_file': str(same)}, {}),
        'no file': (True, path, {**metric, 'ann_file': None}, {}),
    }
    for name, (may_start, file, evaluator, options) in cases.items():
        for stage in ('test', 'val'):
            start = functools.partial(begin, arena, stage, file, evaluator, **options)
            yield Trial(f'{name}, {stage}', functools.partial(judge_start, start, arena, may_start=may_start))
