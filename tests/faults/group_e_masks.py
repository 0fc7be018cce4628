"""Group E, masks that are malformed: none kills a process, and none is accepted with another number of pixels."""

from __future__ import annotations

import copy
import functools
import importlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.corpus.tools.tiny import coco, write_dataset
from tests.faults.conversions import DATA_FAULTS
from tests.faults.group_e import command
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived
from ultrasam.masks.mask_checks import MaskChecks

HW = (24, 32)
_PIXELS = HW[0] * HW[1]
_BATCH = 20
Named = tuple[str, Any]


def good_masks() -> list[np.ndarray]:
    """Masks (H, W), bool: a square, a speckle, a line, a full and an empty one."""
    square, line = np.zeros(HW, bool), np.zeros(HW, bool)
    square[2:11, 3:12] = line[7] = True
    speckle = np.random.default_rng(0).random(HW) < 0.3
    return [square, speckle, line, np.ones(HW, bool), np.zeros(HW, bool)]


def code_of(mask: np.ndarray) -> str:
    """Compressed run lengths."""
    from pycocotools import mask as coco_mask

    return coco_mask.encode(np.asfortranarray(mask, np.uint8))['counts'].decode()


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, background first."""
    flat = np.concatenate([[False], mask.ravel(order='F')])
    ends = [*np.flatnonzero(np.diff(flat)), mask.size]
    return np.diff([0, *ends]).tolist()


def _rle(counts: Any, size: Any = HW) -> dict[str, Any]:
    return {'size': list(size) if isinstance(size, tuple) else size, 'counts': counts}


def _cut_codes() -> Iterator[Named]:
    for number, mask in enumerate(good_masks()[:3]):
        code = code_of(mask)
        for keep in np.linspace(0, len(code) - 1, 24).astype(int):
            yield f'code {number} cut at {keep}', _rle(code[:keep])
    for number, mask in enumerate(good_masks()[:3]):
        runs = runs_of(mask)
        for keep in sorted({*np.linspace(0, len(runs) - 1, 12).astype(int).tolist()}):
            yield f'runs {number} cut at {keep}', _rle(runs[:keep])


def _grown_codes() -> Iterator[Named]:
    for number, mask in enumerate(good_masks()):
        code, runs = code_of(mask), runs_of(mask)
        for more in ('0', '1', 'o', 'P', '00', '~', '\x7f', 'é', ' ', code, 'ooooooooooo0', 'PPPP'):
            yield f'code {number} and {more!r}', _rle(code + more)
        for value in (1, -1, 1 << 31, 1 << 32, 1 << 63, 1 << 70):
            yield f'runs {number} and {value}', _rle([*runs, value])


def _sizes() -> Iterator[Named]:
    code = code_of(good_masks()[0])
    odd: list[Any] = [
        HW[::-1], (0, 0), (0, 32), (-24, -32), (-24, 32), (23, 32), (25, 32), (768, 1), (1, 768), (24,), (24, 32, 1),
        (10**6, 10**6), (2**31, 1), (1, 2**31), (2**32, 2**32), (2**63, 1), (2**16, 2**16), (24.5, 32), ('24', '32'),
        (None, None), None, 768, '24x32', {}, [[24, 32]], (True, 768),
    ]  # fmt: skip
    for size in odd:
        yield f'code of size {size}', _rle(code, size)
        yield f'runs of size {size}', _rle(runs_of(good_masks()[0]), size)


def _counts() -> Iterator[Named]:
    odd: list[Any] = [
        '', [], None, 5, 5.5, True, {}, {'0': 768}, [[768]], [768.0], ['768'], [None], [0.5, 767.5], [-1, 769],
        [_PIXELS + 1], [0, -768, 1536], [1 << 31, -(1 << 31) + 768], [1 << 32], [1 << 64], [10**30], ['a'],
        [True] * _PIXELS, [1] * (_PIXELS + 1), '0' * 10000, 'o' * 10000, '\ud7ff', 'n' * 7 + '0',
    ]  # fmt: skip
    for counts in odd:
        yield f'counts {str(counts)[:30]}', _rle(counts)
    yield 'counts missing', {'size': list(HW)}
    yield 'size missing', {'counts': code_of(good_masks()[0])}


def _polygons() -> Iterator[Named]:
    far = (1e9, -1e9, 1e18, 1e300, 2**31, 2**63, 10**400, 2**24)
    odd: list[Any] = [
        [[]], [[3, 2]], [[3, 2, 12, 2]], [[3, 2, 12, 2, 12]], [[3, 2, 12, 2, 12, 11, 3]], [[['a']]],
        [[[3, 2], [12, 2], [12, 11]]],
        ['3 2 12 2 12 11'], [['3', '2', '12', '2', '12', '11']], [[None] * 6], [None], [5],
        [[3, 2, 12, 2, 12, 11], None], [[3, 2, 12, 2, 12, 11], []], [{}], [{'a': 1}], 'polygon', 5, True, {}, None,
        [], [[True] * 6], [[3, 2, 12, 2, 12, [11]]],
        [[float('nan')] * 6], [[float('inf'), 2, 12, 2, 12, 11]], [[3, 2] * 3],
        *([[3, 2, 12, 2, value, 11]] for value in far), *([[3, 2, 12, value, 12, 11]] for value in far),
        *([[value] * 6] for value in far),
    ]  # fmt: skip
    for polygons in odd:
        yield f'polygons {str(polygons)[:40]}', polygons


def malformed() -> list[Named]:
    """Segmentations with something wrong, by name."""
    families = (_cut_codes(), _grown_codes(), _sizes(), _counts(), _polygons())
    return [one for family in families for one in family]


def mutations(count: int, seed: int) -> list[Named]:
    """Good segmentations with a change or two at random."""
    rng = np.random.default_rng(seed)
    found: list[Named] = []
    for number in range(count):
        mask = good_masks()[number % 3]
        if number % 2:
            runs = runs_of(mask)
            for _ in range(rng.integers(1, 3)):
                runs[rng.integers(len(runs))] += int(rng.choice([-1, 1, -5, 40, 1 << 31, -(1 << 20)]))
            found.append((f'mutation {number}', _rle(runs)))
            continue
        code = list(code_of(mask))
        for _ in range(rng.integers(1, 4)):
            place, kind = int(rng.integers(len(code))), rng.integers(4)
            letter = chr(rng.integers(40, 120))
            if kind == 0:
                code[place] = letter
            elif kind == 1:
                code.insert(place, letter)
            elif kind == 2 and len(code) > 1:
                del code[place]
            else:
                other = int(rng.integers(len(code)))
                code[place], code[other] = code[other], code[place]
        found.append((f'mutation {number}', _rle(''.join(code))))
    return found


def pixels_if_sound(segmentation: Any) -> int | None:
    """Pixels of a mask by its definition, with whole numbers in Python alone; None where it means nothing."""
    if isinstance(segmentation, dict):
        counts = segmentation.get('counts')
        runs = decoded(counts) if isinstance(counts, str) else counts
        is_sound = isinstance(runs, list) and all(type(run) is int and run >= 0 for run in runs)
        if segmentation.get('size') != list(HW) or not is_sound or sum(runs) != _PIXELS:
            return None
        return sum(runs[1::2])
    return -1


def decoded(code: str) -> list[int] | None:
    """Run lengths of a code, a number at a time."""
    runs: list[int] = []
    value = shift = 0
    for letter in code:
        group = ord(letter) - 48
        if not 0 <= group < 64:
            return None
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return None if shift else runs


def mask_trials(arena: Arena, cases: Sequence[Named], judge: Any) -> Iterator[Trial]:
    """Ours in batches; the stock library one at a time, since each may end its process."""
    importlib.import_module('pycocotools.coco' if not arena.ours else 'ultrasam.corpus.verify')
    step = _BATCH if arena.ours else 1
    for start in range(0, len(cases), step):
        batch = cases[start : start + step]
        run = functools.partial(judge if arena.ours else judge_stock_mask, batch)
        yield Trial(batch[0][0], run, len(batch))


def judge_stock_mask(batch: Sequence[Named]) -> list[Verdict]:
    """``COCO.annToMask``: an error survives, and so does a mask of the right number of pixels."""
    from pycocotools.coco import COCO

    found = COCO()
    found.imgs = {1: {'height': HW[0], 'width': HW[1]}}
    verdicts = []
    for _, segmentation in batch:
        try:
            mask = found.annToMask({'image_id': 1, 'segmentation': segmentation})
        except Exception as error:
            verdicts.append(survived(f'{type(error).__name__}: {error}'))
            continue
        pixels = pixels_if_sound(segmentation)
        is_right = mask.shape == HW and pixels is not None and pixels in (-1, int(mask.sum()))
        verdicts.append(
            survived() if is_right else quiet(f'was taken as {mask.shape}, {int(mask.sum())} pixels')
        )
    return verdicts


def judge_checks(batch: Sequence[Named]) -> list[Verdict]:
    """Each mask by the checks of ``verify``, with the area and box that it claims; then the whole file."""
    verdicts = []
    number_of_faults = 0
    for _, segmentation in batch:
        claimed = pixels_if_sound(segmentation)
        box = _box_of(segmentation) if claimed not in (None, -1) else [3.0, 2.0, 9.0, 9.0]
        one = {'id': 1, 'image_id': 1, 'segmentation': segmentation, 'bbox': box}
        one['area'] = 81 if claimed in (None, -1) else claimed
        checks = MaskChecks({1: HW}, set())
        try:
            found = [*checks.add(one), *checks.finish()]
        except Exception as error:
            verdicts.append(lossy(f'{type(error).__name__}: {error}'))
            continue
        number_of_faults += bool(found)
        if found or claimed is not None:
            is_wrong = bool(found) and (claimed or 0) > 0
            verdicts.append(lossy(f'a good mask is refused: {found}') if is_wrong else survived(str(found)))
        else:
            verdicts.append(quiet('was taken for good'))
    return _judge_file(batch, number_of_faults) or verdicts


def _box_of(segmentation: Any) -> list[float]:
    counts = segmentation['counts']
    runs = decoded(counts) if isinstance(counts, str) else counts
    flat = np.repeat(np.arange(len(runs)) % 2, runs).reshape(HW, order='F')
    ys, xs = np.nonzero(flat)
    if not ys.size:
        return [0.0, 0.0, 0.0, 0.0]
    return [float(xs.min()), float(ys.min()), float(np.ptp(xs) + 1), float(np.ptp(ys) + 1)]


def _judge_file(batch: Sequence[Named], number_of_faults: int) -> list[Verdict] | None:
    """All of a batch in one file: the tools end with an exit code, and ``verify`` with that of faults."""
    root = Path('corpus').absolute()
    shutil.rmtree(root, ignore_errors=True)
    content = coco({f'p{number}': [1] for number in range(len(batch))})
    for one, (_, segmentation) in zip(content['annotations'], batch, strict=True):
        one['segmentation'] = copy.deepcopy(segmentation)
    write_dataset(root, 'A', content)
    for tool in ('build_corpus', 'verify'):
        done = command(tool, root)
        if done.code is None:
            return [lossy(f'{tool}: a traceback: {done.text}')] * len(batch)
        if tool == 'verify' and number_of_faults and done.code != DATA_FAULTS:
            return [quiet(f'verify takes the file for good: {done.text}')] * len(batch)
    return None


@fault('E4.malformed', 'malformed masks, by the checks of the tools', stock_losses=0.35, budget_s=120)
def malformed_masks(arena: Arena) -> Iterator[Trial]:
    yield from mask_trials(arena, malformed(), judge_checks)


@fault(
    'E4.mutated', 'good masks with a change at random, by the checks of the tools', stock_losses=0.1, seed=4
)
def mutated_masks(arena: Arena) -> Iterator[Trial]:
    yield from mask_trials(arena, mutations(500 if arena.full else 100, arena.seed), judge_checks)
