"""Groups A3 to A7 of training: runs that are killed or stopped, and folders that others use or have left in a state."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.faults.conversions import chosen
from tests.faults.harness import CRASHED, Arena, Trial, Verdict, fault, lossy, patience, quiet, survived
from tests.faults.training_runs import (
    OUTPUT,
    Done,
    Run,
    clumsy,
    ending,
    finished,
    history,
    left_over,
    resume_point,
    start,
    steps,
    undisturbed,
)
from ultrasam.atomic import LOCK_NAME

_STOPS_WITHIN_S = 5
_MANY = 400
# what a checkpoint has to weigh for a kill at random to find it half written
_BALLAST_MB = 24


@fault('A3.training', 'SIGTERM and SIGINT during training', stock_losses=0.7, seed=3)
def stop(arena: Arena) -> Iterator[Trial]:
    cases = {
        'SIGTERM': (signal.SIGTERM, False, 143),
        'SIGINT': (signal.SIGINT, False, 130),
        'Ctrl-C, to the data workers as well': (signal.SIGINT, True, 130),
        'SIGTERM, to the data workers as well': (signal.SIGTERM, True, 143),
    }
    for repeat in range(10 if arena.full else 1):
        for number, (name, case) in enumerate(cases.items()):
            run = Run(
                arena, f'stop{repeat}{number}', _MANY, interval=_MANY, workers=2, model={'pace_s': 0.02}
            )
            yield Trial(name, functools.partial(_stop, run, *case))


def _stop(run: Run, number: signal.Signals, to_all: bool, code: int) -> Verdict:
    with ending(start(run)) as started:
        started.await_steps(3)
        sent = time.monotonic()
        started.send(number, to_all=to_all)
        done = started.finish()
    took, taken = time.monotonic() - sent, len(steps(run))
    wrong = clumsy(done)
    if wrong is not None:
        return wrong
    if done.code != code or took > _STOPS_WITHIN_S * patience() or left_over(run):
        return lossy(f'{took:.1f} s, left {left_over(run)}, {done.tail}')
    saved = resume_point(run)[1]
    if saved != taken:
        return lossy(f'{taken - saved} of {taken} steps are lost')
    again = finished(run.resumed(iterations=taken + 3))
    found = [step.step for step in steps(run)]
    if again.code != 0 or found != list(range(taken + 3)):
        return quiet(f'does not go on: steps {found[-6:]} after {taken}; {again.tail}')
    return survived(f'after {took:.1f} s and {taken} steps')


@fault('A4.random', 'kill -9 around the saving of a checkpoint, at random', stock_losses=0.15, seed=4)
def kill_at_random(arena: Arena) -> Iterator[Trial]:
    rng = np.random.default_rng(arena.seed)
    for keep in (1, 3):
        for number in range(40 if arena.full else 5 if keep == 1 else 2):
            run = Run(arena, f'keep{keep} {number}', _MANY, 1, keep, model={'ballast_mb': _BALLAST_MB})
            kill = functools.partial(_kill_at_random, run, rng.uniform(0, 0.4))
            yield Trial(f'keeping {keep}, {number}', kill)


def _kill_at_random(run: Run, wait_s: float) -> Verdict:
    with ending(start(run)) as started:
        if not started.wait_for((run.folder / 'last_checkpoint').is_file):
            return Verdict(CRASHED, f'saved nothing: {started.finish().tail}')
        time.sleep(wait_s * patience())
        started.send(signal.SIGKILL)
        done = started.finish()
    verdict = _at_most_one_interval_lost(run, done)
    shutil.rmtree(run.folder)
    return verdict


def _at_most_one_interval_lost(run: Run, done: Done) -> Verdict:
    if done.code != 128 + signal.SIGKILL:
        return Verdict(CRASHED, f'was not killed: {done.tail}')
    path, saved = resume_point(run)
    taken = len(steps(run))
    if path is None:
        there = sorted(found.name for found in run.folder.glob('*.pth'))
        return lossy(f'nothing to go on from after {taken} steps: last_checkpoint names none of {there}')
    if taken - saved > run.interval:
        return lossy(f'{taken - saved} steps are lost')
    return survived(f'{taken - saved} of {taken} steps are lost')


@fault('A4.moments', 'kill -9 at every moment of the saving of a checkpoint', stock_losses=0.15)
def kill_at_moments(arena: Arena) -> Iterator[Trial]:
    for keep in (1, 3) if arena.full else (1,):
        run = Run(arena, f'keep{keep}', keep + 2, 1, keep)
        log = arena.work / f'moments {keep}'
        undisturbed(replace(run, name=f'listed{keep}', order={'log': str(log)}))
        found = [tuple(json.loads(line)) for line in log.read_text(encoding='utf-8').splitlines()]
        moments = [
            number for number, (_, path) in enumerate(found) if 'iter_' in path or 'checkpoint' in path
        ]
        # the last of each sort is that of the last checkpoint, when the oldest goes
        for index in chosen([found[number] for number in moments], full=arena.full):
            event, path = found[moments[index]]
            strike = replace(run, name=f'{run.name} {index}', order={'at': moments[index], 'do': 'kill'})
            yield Trial(
                f'keeping {keep}, {event} {os.path.basename(path)}',
                functools.partial(_kill_at_moment, strike),
            )


def _kill_at_moment(run: Run) -> Verdict:
    done = finished(run)
    # with the first checkpoint half written, there is none yet
    if len(steps(run)) <= run.interval:
        return survived('before the second checkpoint')
    return _at_most_one_interval_lost(run, done)


@fault('A5.resume', 'kill -9 at a random step, and the run goes on by itself', stock_losses=0.6, seed=5)
def resume(arena: Arena) -> Iterator[Trial]:
    rng = np.random.default_rng(arena.seed)
    whole = undisturbed(Run(arena, 'straight', 24, workers=2))
    for number in range(20 if arena.full else 5):
        # after the first checkpoint: a run that begins anew is another matter
        at, wait_s = int(rng.integers(5, 21)), rng.uniform(0, 0.03)
        run = replace(whole, name=f'killed{number}', model={'pace_s': 0.01})
        yield Trial(f'{number}, at step {at}', functools.partial(_resume, whole, run, at, wait_s))


def _resume(whole: Run, run: Run, at: int, wait_s: float) -> Verdict:
    with ending(start(run)) as started:
        started.await_steps(at)
        time.sleep(wait_s)
        started.send(signal.SIGKILL)
        done = started.finish()
    if done.code != 128 + signal.SIGKILL:
        return Verdict(CRASHED, f'was not killed: {done.tail}')
    again = finished(run.resumed())
    return clumsy(again) or _as_the_straight_run(run, whole, again)


def _as_the_straight_run(run: Run, whole: Run, done: Done) -> Verdict:
    """Every step that was taken, some of them twice, has the loss and leaves the weights of the straight run."""
    if done.code != 0:
        return lossy(done.tail)
    found, truth = history(run), history(whole)
    differing = sorted(step for step in truth if found.get(step) != truth[step])
    if differing:
        return quiet(f'{len(differing)} of {len(truth)} steps differ, first {differing[0]}')
    return survived(f'{len(steps(run)) - len(truth)} steps were taken twice')


@fault('A6.training', 'two runs in one folder, and the lock of a dead one', stock_losses=0.3)
def two_runs(arena: Arena) -> Iterator[Trial]:
    run = Run(arena, 'shared', 40, model={'pace_s': 0.02})
    whole = undisturbed(replace(run, name='alone'))
    yield Trial('a second run', functools.partial(_second, run, whole, False))
    yield Trial('a second run that resumes', functools.partial(_second, run, whole, True))
    yield Trial('the lock of a killed run', functools.partial(_stale, replace(run, name='killed'), whole))
    yield Trial(
        'the number of a killed run is that of another process',
        functools.partial(_stale, replace(run, name='taken'), whole, pid=os.getpid()),
    )


def _second(run: Run, whole: Run, resumes: bool) -> Verdict:
    run = replace(run, name=f'{run.name} {resumes}')
    with ending(start(run)) as first:
        # not before there is something to resume
        first.await_steps(6)
        second = start(replace(run, resume=resumes))
        other, done = second.finish(), first.finish()
    wrong = clumsy(done) or clumsy(other)
    if wrong is not None:
        return wrong
    if {step.pid for step in steps(run)} != {first.pid}:
        return quiet('both have trained in the folder')
    if other.code != OUTPUT or f'process {first.pid}' not in other.text:
        return lossy(f'the second: {other.tail}')
    return _as_the_straight_run(run, whole, done)


def _stale(run: Run, whole: Run, pid: int | None = None) -> Verdict:
    with ending(start(run)) as started:
        started.await_steps(6)
        started.send(signal.SIGKILL)
        started.finish()
    lock = run.folder / LOCK_NAME
    if pid is not None:
        lock.write_text(f'{pid}\n', encoding='utf-8')
    if run.arena.ours and not lock.exists():
        return Verdict(CRASHED, 'the killed run had no lock')
    again = finished(run.resumed())
    return clumsy(again) or _as_the_straight_run(run, whole, again)


def _temporary(run: Run) -> None:
    """What a run leaves that is killed while it writes; the process of this number is gone."""
    child = os.fork()
    if child == 0:
        from ultrasam.atomic import publish_file

        with publish_file(run.folder / 'iter_8.pth', overwrite=True) as path:
            path.write_bytes(b'half')
            os._exit(0)
    os.waitpid(child, 0)


def _point_at(run: Run, path: str | Path) -> None:
    (run.folder / 'last_checkpoint').write_text(str(path), encoding='utf-8')


def _foreign(run: Run) -> Path:
    """A whole checkpoint of another run, elsewhere."""
    other = undisturbed(replace(run, name=f'other than {run.name}', seed=11))
    _point_at(run, other.folder / 'iter_8.pth')
    return other.folder / 'iter_8.pth'


def _linked(run: Run) -> None:
    """The same by a link that has the name of one of ours."""
    (run.folder / 'iter_20.pth').symlink_to(_foreign(run))
    _point_at(run, run.folder / 'iter_20.pth')


def _cut(run: Run) -> None:
    newest = run.folder / 'iter_8.pth'
    os.truncate(newest, newest.stat().st_size // 2)


def _folder_for_a_file(run: Run) -> None:
    (run.folder / 'iter_10.pth').mkdir()
    _point_at(run, run.folder / 'iter_10.pth')


LEFTOVERS: dict[str, Callable[[Run], object]] = {
    'a temporary file': _temporary,
    'a half checkpoint': _cut,
    'an empty checkpoint': lambda run: (run.folder / 'iter_12.pth').touch(),
    'a folder of the name of a checkpoint': _folder_for_a_file,
    'a pointer to a missing file': lambda run: _point_at(run, run.folder / 'iter_12.pth'),
    'a pointer to a file of another run': _foreign,
    'a link to a file of another run': _linked,
    'a link to nowhere': lambda run: (run.folder / 'iter_20.pth').symlink_to(run.folder / 'gone.pth'),
    'an empty pointer': lambda run: _point_at(run, ''),
    'a pointer of zeros': lambda run: _point_at(run, '\0' * 64),
    'a pointer to a folder': lambda run: _point_at(run, run.folder),
    'no pointer': lambda run: (run.folder / 'last_checkpoint').unlink(),
}


@fault('A7.training', 'what a killed run, or a careless hand, leaves in its folder', stock_losses=0.5)
def leftovers(arena: Arena) -> Iterator[Trial]:
    whole = undisturbed(Run(arena, 'straight', 12))
    for number, (name, leave) in enumerate(LEFTOVERS.items()):
        run = replace(whole, name=f'left{number}', iterations=8)
        yield Trial(name, functools.partial(_goes_on, run, whole, leave))


def _goes_on(run: Run, whole: Run, leave: Callable[[Run], object]) -> Verdict:
    undisturbed(run)
    leave(run)
    again = finished(run.resumed(iterations=whole.iterations))
    wrong = clumsy(again) or _as_the_straight_run(run, whole, again)
    if wrong.outcome == 'S' and left_over(run):
        return lossy(f'left over: {left_over(run)}')
    return wrong
