"""Groups B3, B5 and B6 of training: a disk that is full, calls that fail, and the order of calls that matters."""

from __future__ import annotations

import errno
import functools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.conversions import chosen
from tests.faults.harness import CRASHED, Arena, Trial, Verdict, fault, lossy, quiet, survived
from tests.faults.training_runs import (
    Run,
    clumsy,
    finished,
    history,
    left_over,
    resume_point,
    steps,
    undisturbed,
)

Moments = list[tuple[str, str]]


@fault('B3.run', 'no more room while a run saves a checkpoint', stock_losses=1)
def full(arena: Arena) -> Iterator[Trial]:
    whole = undisturbed(Run(arena, 'straight', model={'ballast_mb': 1}))
    for share in (0.1, 0.9):
        room = int(share * (1 << 20))
        run = replace(whole, name=f'full{share}', strikes=((5, 0, 'file size', room),))
        yield Trial(f'room for {share:.0%}', functools.partial(_full, run, whole))


def _full(run: Run, whole: Run) -> Verdict:
    done = finished(run)
    if done.code == 0:
        return quiet('nothing was said')
    sizes = {path.name: path.stat().st_size for path in run.folder.glob('*.pth')}
    if sizes.get('iter_8.pth', 1 << 20) < 1 << 20:
        return lossy(f'a part has the name of a whole checkpoint: {sizes}')
    if 'iter_8.pth' not in done.text.splitlines()[-1] or 'MB are free' not in done.text:
        return lossy(done.tail)
    return clumsy(done) or _goes_on(run, whole)


def _goes_on(run: Run, whole: Run) -> Verdict:
    """Of what is left, the run goes on to the end of the straight one."""
    if left_over(run):
        return lossy(f'left over: {left_over(run)}')
    path, saved = resume_point(run)
    if path is None or len(steps(run)) - saved > run.interval:
        return lossy(f'{path}: {saved} of {len(steps(run))} steps are kept')
    again = finished(run.resumed(strikes=()))
    if again.code != 0:
        return clumsy(again) or lossy(again.tail)
    return survived() if history(run) == history(whole) else quiet('the rest of the run differs')


def _moments(run: Run) -> Moments:
    """What a run does to checkpoints: calls, and the files that they are for."""
    log = run.arena.work / f'{run.name}.moments'
    undisturbed(replace(run, order={'log': str(log)}))
    return [tuple(json.loads(line)) for line in log.read_text(encoding='utf-8').splitlines()]


@fault('B5.training', 'fsync, open or rename fails while a run saves a checkpoint', stock_losses=0.6)
def failing_calls(arena: Arena) -> Iterator[Trial]:
    whole = undisturbed(Run(arena, 'straight', 4, interval=1, keep=2))
    found = _moments(replace(whole, name='listed'))
    events = ('open', 'os.fsync', 'os.rename')
    moments = [
        number
        for number, (event, path) in enumerate(found)
        if event in events and ('iter_' in path or 'last_checkpoint' in path)
    ]
    for index in chosen([found[number] for number in moments], full=arena.full):
        event, path = found[moments[index]]
        number = errno.EXDEV if event == 'os.rename' else errno.EIO
        run = replace(whole, name=f'fails{index}', order={'at': moments[index], 'do': number})
        yield Trial(f'{event} {Path(path).name}', functools.partial(_fails, run, whole))
    if not arena.ours:
        yield Trial('os.fsync', functools.partial(quiet, 'it never asks whether the disk has it'))
        yield Trial(
            'os.rename', functools.partial(quiet, 'it writes in place: there is no earlier file to keep')
        )


def _fails(run: Run, whole: Run) -> Verdict:
    done = finished(run)
    if done.code == 0:
        return quiet('nothing was said')
    if run.arena.ours and 'cannot be written' not in done.text.splitlines()[-1]:
        return lossy(done.tail)
    return (clumsy(done) if run.arena.ours else None) or _goes_on(replace(run, order=None), whole)


@fault(
    'B6.order',
    'a checkpoint is on the disk before its name, and its name before the old one goes',
    stock_losses=1,
)
def order(arena: Arena) -> Iterator[Trial]:
    run = Run(arena, 'run', 4, interval=1, keep=1)
    yield Trial('four checkpoints', functools.partial(_in_order, run))


def _in_order(run: Run) -> Verdict:
    """Each rename follows the fsync of its file, is followed by one of the folder, and all before any removal."""
    found = _moments(run)
    renamed = 0
    for number, (event, path) in enumerate(found):
        if 'iter_' not in path or not path.endswith('.pth'):
            continue
        if event == 'os.rename':
            renamed += 1
            earlier, later = found[:number], found[number + 1 :]
            if ('os.fsync', path) not in earlier or ('open', path) in later:
                return quiet(f'{path} gets its name before it is on the disk')
            if later[0] != ('os.fsync', str(run.folder)):
                return quiet(f'after the name of {path} comes {later[0]}')
        elif event == 'os.remove' and '.tmp-' not in path:
            before = [one for one, where in found[:number] if one == 'os.rename' and where.endswith('.pth')]
            if len(before) < 2:
                return quiet(f'{path} goes before there is another')
        elif event == 'open' and '.tmp-' not in path:
            return quiet(f'{path} is written in place')
    if renamed != run.iterations:
        return Verdict(CRASHED, f'{renamed} renames of {run.iterations} checkpoints')
    return survived(f'{renamed} checkpoints')
