"""Faulty files among good ones: how they are laid out, and what a conversion of them comes to.

A fault of this sort is a list of :class:`Case` given to :func:`batches`::

    @fault('C1.cut', 'PNG cut short', stock_losses=0)
    def cut_png(arena: Arena) -> Iterator[Trial]:
        yield from batches(arena, 'C1', [Case('half', lay_half, 'images/bad_half.png')])

A case that names ``pixels`` and ``masks`` has to come out so; one that names none has to be refused by the name of its
file (which holds no ``good``), with the good files kept and a second run on them alone as if nothing had happened.
"""

from __future__ import annotations

import functools
import json
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.conversions import (
    DATA_FAULTS,
    TINY,
    Done,
    Job,
    crashed,
    digests,
    lay_tiny,
    leftovers,
    reference,
    run,
    tiny_script,
)
from tests.faults.harness import Arena, Trial, Verdict, lossy, quiet, survived

_MOST_RSS_MB = 500
_NAMED = 8

Published = dict[tuple[str, int | None], tuple[np.ndarray, list[np.ndarray]]]


def read_published(folder: Path) -> Published:
    """Image and masks of every image of a data set, by source file and frame."""
    from pycocotools import mask as coco_mask

    found: Published = {}
    for path in sorted((folder / 'annotations').glob('*__coco.json')):
        content = json.loads(path.read_text(encoding='utf-8'))
        for image in content['images']:
            with Image.open(folder / 'images' / image['file_name']) as opened:
                pixels = np.asarray(opened)
            masks = [
                coco_mask.decode(one['segmentation']).astype(bool)
                for one in content['annotations']
                if one['image_id'] == image['id']
            ]
            found[image['source_file'], image.get('frame')] = (pixels, masks)
    return found


@dataclass(frozen=True)
class Case:
    """A faulty file among good ones.

    Args:
        name: what is wrong.
        lay: puts the file and its partner into a tree of the tiny data set.
        file: the file at fault, or the image that must come out right.
        pixels: of the published image, where the file is to be accepted; None: any fault must be named.
        masks: of the published image.
        other: a second file that a report may name instead.
    """

    name: str
    lay: Callable[[Path], object]
    file: str
    pixels: np.ndarray | None = None
    masks: tuple[np.ndarray, ...] = ()
    other: str = ''

    @property
    def is_mask(self) -> bool:
        return self.file.startswith('masks/') or self.other.startswith('masks/')


def batches(arena: Arena, kind: str, cases: Sequence[Case], *, text: str = TINY) -> Iterator[Trial]:
    """Trials of cases: those to be refused together, those to be accepted together, and with ``--full`` each alone."""
    if not arena.ours:
        for case in cases:
            folder = arena.root / 'raw' / f'{kind}.{case.name}'
            case.lay(lay_tiny(folder, 0))
            yield Trial(case.name, functools.partial(judge_stock, case, folder))
        return
    refused = [case for case in cases if case.pixels is None]
    accepted = [case for case in cases if case.pixels is not None]
    # a report names a dozen faults
    parts = [refused[start : start + _NAMED] for start in range(0, len(refused), _NAMED)]
    groups = [(f'{kind} refused {number}', part) for number, part in enumerate(parts)]
    groups.append((f'{kind} accepted', accepted))
    if arena.full:
        groups += [(f'{kind} {case.name}', [case]) for case in cases]
    for name, group in groups:
        if group:
            yield _batch(arena, name, group, text)


def _batch(arena: Arena, name: str, cases: Sequence[Case], text: str) -> Trial:
    folder = arena.root / 'raw' / name.replace(' ', '_').replace('/', '_')
    lay_tiny(folder)
    for case in cases:
        case.lay(folder)
    job = Job(tiny_script(arena.root / 'raw', text), folder, arena.work / folder.name)
    good = lay_tiny(arena.root / 'raw' / 'good')
    clean = reference(job.script, good)
    judge = judge_refused if cases[0].pixels is None else judge_accepted
    return Trial(name, functools.partial(judge, job, cases, clean), len(cases))


def judge_refused(job: Job, cases: Sequence[Case], clean: dict[str, str]) -> list[Verdict]:
    """Every bad file must be named, no good one, nothing published; without the bad ones the good ones come out."""
    done = run(job)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    wrong = crashed(done)
    if wrong is None and done.code == 0:
        wrong = quiet(f'was converted: {done.tail}')
    if wrong is None and done.code != DATA_FAULTS:
        wrong = lossy(done.tail)
    if wrong is None and job.target.exists():
        wrong = quiet('a data set with faults was published')
    if wrong is None and peak > _MOST_RSS_MB:
        wrong = lossy(f'{peak:.0f} MB of memory')
    wrong = wrong or _named_wrongly(done) or _resumes(job, cases, clean)
    if wrong is not None:
        return [wrong] * len(cases)
    return [
        survived(done.text)
        if case.file in done.text or (case.other and case.other in done.text)
        else quiet(f'{case.file} is not named: {done.text}')
        for case in cases
    ]


def _named_wrongly(done: Done) -> Verdict | None:
    return (
        lossy(f'a good file is blamed: {done.text}')
        if 'good' in done.text.replace('Good files', '')
        else None
    )


def _resumes(job: Job, cases: Sequence[Case], clean: dict[str, str]) -> Verdict | None:
    """Run again on the good files alone: what was done is kept, and the result is that of a clean run."""
    kept = job.journal.read_text(encoding='utf-8').count('\n') if job.journal.is_file() else 0
    goods = sum(name.startswith('images/') for name in clean)
    if kept < goods:
        return lossy(f'{kept} of {goods} good files are kept')
    mended = Job(job.script, job.source.with_name('good'), job.out)
    done = run(mended)
    if done.code != 0 or digests(job.target) != clean or leftovers(job):
        return lossy(f'does not resume: {done.tail}, {leftovers(job)}')
    return None


def judge_accepted(job: Job, cases: Sequence[Case], clean: dict[str, str]) -> list[Verdict]:
    """Every image must come out with its pixels and masks."""
    done = run(job)
    wrong = crashed(done)
    if wrong is None and done.code != 0:
        wrong = lossy(done.tail)
    if wrong is not None:
        return [wrong] * len(cases)
    found = read_published(job.target)
    return [_compare(case, found.get((case.file, None))) for case in cases]


def _compare(case: Case, found: tuple[np.ndarray, list[np.ndarray]] | None) -> Verdict:
    if found is None:
        return quiet('is not among the images')
    pixels, masks = found
    if case.pixels is None or not np.array_equal(pixels, as_rgb(case.pixels)):
        return quiet('other pixels')
    if len(masks) != len(case.masks) or not all(map(np.array_equal, masks, case.masks)):
        return quiet(f'{len(masks)} masks of {[int(mask.sum()) for mask in masks]} px')
    return survived()


def as_rgb(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) of a gray or RGB picture."""
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def judge_stock(case: Case, folder: Path) -> Verdict:
    """What ``cv2.imread`` makes of the file; an error, or no image, survives."""
    import cv2

    os.chdir(folder)
    path = case.other if case.is_mask and case.other else case.file
    try:
        values = cv2.imread(path, cv2.IMREAD_GRAYSCALE if case.is_mask else cv2.IMREAD_COLOR)
    except cv2.error as error:
        return survived(str(error))
    if values is None:
        return survived('no image')
    if case.pixels is None:
        return quiet('was taken for good')
    if case.is_mask:
        parts, numbered = cv2.connectedComponents((values > 127).astype(np.uint8))
        masks = [numbered == number for number in range(1, parts)]
        same = len(masks) == len(case.masks) and all(map(np.array_equal, masks, case.masks))
    else:
        same = np.array_equal(values[..., ::-1], as_rgb(case.pixels))
    return survived() if same else quiet('other pixels')
