"""Group H: training on losses, workers, files and options that fail, and what a step may depend on."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.corpus.tools.tiny import coco, write_dataset
from tests.faults.harness import CRASHED, Arena, Trial, Verdict, fault, lossy, quiet, survived
from tests.faults.training_runs import (
    REFUSED,
    TRAINING,
    Done,
    Run,
    clumsy,
    ending,
    finished,
    resume_point,
    start,
    steps,
    undisturbed,
)
from ultrasam.errors import PromptError

_NOTICED_WITHIN_S = 60
# how long the stock stack is waited for; it waits for ever
_WAITS_S = 10


@fault('H1.once', 'a loss or a gradient that is not finite, once', stock_losses=1)
def not_finite_once(arena: Arena) -> Iterator[Trial]:
    for number, bad in enumerate(('nan', 'inf', 'gradient')):
        run = Run(arena, f'once{number}', model={'bad': bad, 'bad_steps': (5,)})
        yield Trial(bad, functools.partial(_skipped_once, run))


def _skipped_once(run: Run) -> Verdict:
    done = finished(run)
    if done.code != 0:
        return clumsy(done) or lossy(done.tail)
    taken = steps(run)
    weights = torch.load(resume_point(run)[0], map_location='cpu', weights_only=not_stock(run))['state_dict']
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        return quiet('the checkpoint holds weights that are not finite, and the run says it is done')
    if taken[5].weights != taken[4].weights or taken[6].weights == taken[5].weights:
        return quiet('the step was not skipped, or others were')
    if 'step 6 skipped' not in done.text or not all(name in done.text for name in taken[5].names):
        return quiet('nothing was said')
    return survived()


def not_stock(run: Run) -> bool:
    """Whether its checkpoints open without running code."""
    return run.arena.ours


@fault('H1.row', 'five losses or gradients in a row that are not finite', stock_losses=1)
def not_finite_in_a_row(arena: Arena) -> Iterator[Trial]:
    for number, bad in enumerate(('nan', 'inf', 'gradient')):
        run = Run(arena, f'row{number}', model={'bad': bad, 'bad_steps': tuple(range(5, 12))})
        yield Trial(bad, functools.partial(_stopped_in_a_row, run))


def _stopped_in_a_row(run: Run) -> Verdict:
    done = finished(run)
    path, saved = resume_point(run)
    if path is None:
        return lossy(f'no checkpoint is left: {done.tail}')
    weights = torch.load(path, map_location='cpu', weights_only=not_stock(run))['state_dict']
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights.values()):
        return quiet(f'exit {done.code}, and weights that are not finite in the last checkpoint')
    if done.code != TRAINING or '5 of them in a row' not in done.text or saved not in (4, 8):
        return lossy(f'after {saved} steps: {done.tail}')
    return clumsy(done) or survived(done.tail)


@fault('H2.workers', 'a data worker that is killed, fails or hangs', stock_losses=1)
def workers(arena: Arena) -> Iterator[Trial]:
    for what, code in (('kill', TRAINING), ('raise', REFUSED), ('hang', TRAINING)):
        run = Run(arena, what, workers=2, data={'what': what, 'at': 7}, timeout_s=3)
        yield Trial(what, functools.partial(_sample_named, run, code))


def _sample_named(run: Run, code: int) -> Verdict:
    with ending(start(run)) as started:
        done = started.finish(_NOTICED_WITHIN_S if run.arena.ours else _WAITS_S)
    if done.code is None:
        return Verdict(CRASHED, f'hangs: {done.tail}')
    if done.code == 0:
        return quiet('went on without the sample')
    if done.code != code or 'frame_07.png' not in done.text.splitlines()[-1]:
        return lossy(f'the sample is not named: {done.tail}')
    return clumsy(done) or survived(done.tail)


def _picture_run(arena: Arena, name: str) -> tuple[Run, Path]:
    """A run on real files, and their folder."""
    folder = write_dataset(arena.work / f'{name} files', 'A', coco({'a': [1] * 4, 'b': [1] * 4}))
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / 'images' / f'{number:05d}.png')
    data = dict(
        type='UltraSamCocoDataset' if arena.ours else 'CocoDataset',
        ann_file=str(folder / 'annotations/A__coco.json'),
        data_prefix=dict(img=str(folder / 'images')),
        metainfo=dict(classes=('kind1',)),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadInstanceAnnotations' if arena.ours else 'LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape')),
        ],
    )  # fmt: skip
    run = Run(arena, name, 24)
    loader: dict[str, Any] = {**run.config()['train_dataloader'], 'dataset': data}
    return replace(run, settings={'train_dataloader': loader, 'model': {'type': 'PixelModel'}}), folder


@fault('H3.files', 'an image or the annotations vanish or change during training', stock_losses=0.3)
def files(arena: Arena) -> Iterator[Trial]:
    for number, what in enumerate(('vanishes', 'is cut short', 'is of another size', 'is emptied')):
        run, folder = _picture_run(arena, f'image{number}')
        image = folder / 'images' / '00003.png'
        Image.new('RGB', (64, 48)).save(folder / 'large.png')
        (folder / 'nothing').touch()
        strike = {
            'vanishes': ('remove', str(image)),
            'is cut short': ('cut', str(image)),
            'is of another size': ('replace', (str(folder / 'large.png'), str(image))),
            'is emptied': ('replace', (str(folder / 'nothing'), str(image))),
        }[what]
        struck = replace(run, strikes=((2, 0, *strike),))
        yield Trial(f'the image {what}', functools.partial(_file_named, struck, image.name))
    run, folder = _picture_run(arena, 'annotations')
    path = folder / 'annotations/A__coco.json'
    other = folder / 'other.json'
    other.write_text(path.read_text(encoding='utf-8').replace('00003.png', '00004.png'), encoding='utf-8')
    struck = replace(run, strikes=((2, 0, 'replace', (str(other), str(path))),))
    yield Trial('the annotations change', functools.partial(_file_named, struck, path.name))


def _file_named(run: Run, name: str) -> Verdict:
    done = finished(run)
    if done.code == 0:
        # the stock data set holds its annotations in memory, which is as well
        return (
            survived()
            if not run.arena.ours and name.endswith('.json')
            else quiet('went on as if nothing were')
        )
    if not done.text.splitlines() or name not in done.text.splitlines()[-1]:
        return lossy(f'{name} is not named: {done.tail}')
    if run.arena.ours and done.code not in (REFUSED, TRAINING):
        return lossy(done.tail)
    return survived(done.tail) if not run.arena.ours else clumsy(done) or survived(done.tail)


@fault('H4.batches', 'images of 0, 1 and 30 instances in one batch', stock_losses=0)
def batches(arena: Arena) -> Iterator[Trial]:
    yield Trial('prediction', functools.partial(_predicts_one_by_one, arena))
    yield Trial('gradients', functools.partial(_trains_one_by_one, arena))


def _predicts_one_by_one(arena: Arena) -> Verdict:
    from tests.models.test_properties import assert_same, batch_of, item, random_prompts, tiny_model

    if not arena.ours:
        return survived('segment-anything decodes image by image')
    model = tiny_model()
    counts = (0, 1, 30)
    with torch.no_grad():
        together = model.test_step(batch_of(*(item(random_prompts(n, n), n) for n in counts)))
        for number, n in enumerate(counts):
            (alone,) = model.test_step(batch_of(item(random_prompts(n, n), n)))
            try:
                assert_same(together[number].pred_instances, alone.pred_instances)
            except AssertionError:
                return quiet(f'{n} instances: other masks in a batch')
            if len(alone.pred_instances) != n:
                return quiet(f'{len(alone.pred_instances)} predictions for {n} prompts')
    return survived()


def _trains_one_by_one(arena: Arena) -> Verdict:
    from tests.models.test_properties import batch_of, gradients, item, random_prompts, tiny_model

    if not arena.ours:
        return survived('segment-anything does not train')
    model, counts = tiny_model(), (0, 1, 30)
    together = gradients(model, batch_of(*(item(random_prompts(n, n), n) for n in counts)))
    parts = {n: gradients(model, batch_of(item(random_prompts(n, n), n))) for n in counts}
    for name, gradient in together.items():
        mean = sum(parts[n][name] * n for n in counts) / sum(counts)
        if not bool((mean - gradient).norm() <= 5e-3 * gradient.norm() + 1e-6):
            return quiet(f'{name}: another gradient in a batch')
    return survived()


NAN = float('nan')
PROMPTS: dict[str, dict[str, Any]] = {
    'a click outside': {'points': [[5.0, 500.0]], 'labels': [1]},
    'a negative click outside': {'points': [[-40.0, 5.0]], 'labels': [0]},
    'an inverted box': {'box': [50.0, 40.0, 20.0, 60.0]},
    'a box without area': {'box': [20.0, 20.0, 20.0, 20.0]},
    'a box outside': {'box': [400.0, 400.0, 450.0, 450.0]},
    'a click at NaN': {'points': [[NAN, 5.0]], 'labels': [1]},
    'a box to infinity': {'box': [5.0, 5.0, float('inf'), 50.0]},
    'neither click nor box': {},
}


@fault('H5.prompts', 'prompts that mean nothing, the second of two objects', stock_losses=0.7)
def prompts(arena: Arena) -> Iterator[Trial]:
    for name, prompt in PROMPTS.items():
        yield Trial(name, functools.partial(_refuses_prompt, arena, prompt))


def _refuses_prompt(arena: Arena, prompt: dict[str, Any]) -> Verdict:
    image = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    try:
        _predict(arena, image, prompt)
    except Exception as error:
        if not arena.ours:
            return survived(str(error))
        named = isinstance(error, PromptError) and 'object 1' in str(error)
        return survived(str(error)) if named else lossy(f'{type(error).__name__}: {error}')
    return quiet('was answered')


@functools.cache
def _stock_predictor() -> Any:
    from segment_anything import SamPredictor
    from segment_anything.build_sam import _build_sam

    torch.manual_seed(0)
    return SamPredictor(_build_sam(32, 2, 2, [1]))


def _predict(arena: Arena, image: np.ndarray, prompt: dict[str, Any]) -> None:
    """Prompt two objects, of which the second is faulty."""
    if not arena.ours:
        predictor = _stock_predictor()
        predictor.model.image_encoder.forward = lambda x: torch.zeros(1, 256, 64, 64)
        predictor.set_image(image)
        points, box = prompt.get('points'), prompt.get('box')
        predictor.predict(
            point_coords=None if points is None else np.array(points),
            point_labels=None if points is None else np.array(prompt['labels']),
            box=None if box is None else np.array(box),
        )
        return
    from ultrasam.predict.geometry import ImageGeometry
    from ultrasam.predict.prompts import network_prompt, read_prompt_file

    file = arena.work / 'prompts.json'
    file.write_text(json.dumps({'frame.png': [{'box': [10.0, 10.0, 60.0, 50.0]}, prompt]}), encoding='utf-8')
    geometry = ImageGeometry(image.shape[:2], image.shape[:2], 1024)
    for number, one in enumerate(read_prompt_file(file)['frame.png']):
        network_prompt(one, geometry, 256, f'object {number}')


@fault('H6.options', 'a misspelt option, an option without effect', stock_losses=1)
def options(arena: Arena) -> Iterator[Trial]:
    for number, option in enumerate(
        (
            'optim_wrapper.optimizer.lrr=1',
            'optim_wraper.optimizer.lr=1',
            'train_dataloader.batchsize=1',
            'default_hooks.checkpiont.interval=1',
            'model.pace=1',
            'train_cfg.maxiters=1',
        )
    ):
        run = Run(arena, f'option{number}', options=('--cfg-options', option))
        yield Trial(option, functools.partial(_refused_option, run, option))


def _refused_option(run: Run, option: str) -> Verdict:
    from mmengine.config import Config

    name, _, value = option.partition('=')
    if not run.arena.ours:
        cfg = Config.fromfile(str(run.write()))
        cfg.merge_from_dict({name: int(value)})
        return quiet('became part of the config')
    return _refused_before_work(run, finished(run), f'--cfg-options {name}')


def _refused_before_work(run: Run, done: Done, said: str) -> Verdict:
    if done.code == 0:
        return quiet('the run was done')
    if done.code != REFUSED or said not in done.text or run.folder.exists():
        return lossy(f'exit {done.code}, folder {run.folder.exists()}: {done.tail}')
    return clumsy(done) or survived(done.tail)


@fault('H6.project', 'the config of another project', stock_losses=1)
def alien(arena: Arena) -> Iterator[Trial]:
    cases: dict[str, dict[str, Any]] = {
        'another model': {'model': {'type': 'EncoderDecoder'}},
        'another data set': {
            'train_dataloader': {'batch_size': 1, 'dataset': {'type': 'ADE20KDataset'}, 'sampler': {'type': 'x'}}
        },
        'no model': {'model': None},
    }  # fmt: skip
    for number, (name, settings) in enumerate(cases.items()):
        run = Run(arena, f'alien{number}', settings=settings)
        yield Trial(name, functools.partial(_refused_config, run))


def _refused_config(run: Run) -> Verdict:
    done = finished(run)
    return _refused_before_work(run, done, f'{run.name}.py: ')


@fault('H7.seed', 'the same seed twice, with one data worker and with two', stock_losses=0.3)
def seed(arena: Arena) -> Iterator[Trial]:
    first = undisturbed(Run(arena, 'first', workers=1))
    for name, count in (('again', 1), ('with two workers', 2), ('without workers', 0)):
        yield Trial(name, functools.partial(_same_batches, first, replace(first, name=name, workers=count)))


def _same_batches(first: Run, second: Run) -> Verdict:
    undisturbed(second)
    found = [
        [(step.names, step.inputs, step.loss, step.weights) for step in steps(run)] for run in (first, second)
    ]
    differing = [number for number, pair in enumerate(zip(*found, strict=True)) if pair[0] != pair[1]]
    return quiet(f'{len(differing)} of {len(found[0])} steps differ') if differing else survived()
