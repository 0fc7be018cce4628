"""Groups A1 to A3, A6 and A7: conversions that are killed or stopped, at random moments and at all that count."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import save
from tests.faults.conversions import (
    ENVIRONMENT,
    MASK,
    PAUSE_S,
    STOCK,
    Done,
    Job,
    await_begin,
    chosen,
    converted,
    digests,
    finish,
    lay_tiny,
    leftovers,
    moments,
    reference,
    run,
    script_of,
    start,
)
from tests.faults.harness import CRASHED, Arena, Trial, Verdict, fault, lossy, patience, quiet, survived
from ultrasam.atomic import LOCK_NAME

_MANY = 60
_STOPS_WITHIN_S = 5


def after(job: Job, clean: dict[str, str], old: dict[str, str], note: str = '') -> Verdict:
    """What is there must be old or new and whole; run again, the new must come out and nothing else be there."""
    there = digests(job.target)
    if there not in (old, clean):
        size = f'{len(there)} of {len(clean)} files'
        return lossy(f'half a data set: {size}; the earlier one is {"lost" if old else "none"}')
    if job.script == STOCK:
        return survived(note)
    again = run(Job(job.script, job.source, job.out, ('--overwrite',)))
    if again.code != 0 or digests(job.target) != clean:
        return quiet(f'run again, the result differs: {again.tail}')
    return lossy(f'left over: {leftovers(job)}') if leftovers(job) else survived(note)


@functools.cache
def stock_reference(raw: Path) -> dict[str, str]:
    """What the stock converter writes when nothing disturbs it."""
    job = Job(STOCK, raw, raw.with_name(f'{raw.name}.plain'))
    job.out.mkdir()
    if run(job).code != 0:
        raise RuntimeError('the stock converter failed')
    return digests(job.target)


def clean_of(arena: Arena, script: Path, raw: Path) -> dict[str, str]:
    return reference(script, raw) if arena.ours else stock_reference(raw)


def lay_out(
    arena: Arena, name: str, count: int, *, overwrite: bool, slowly: bool = False
) -> tuple[Job, dict[str, str]]:
    """A conversion that can be disturbed, and what it publishes if it is not."""
    raw = lay_tiny(arena.root / 'raw' / f'good{count}', count)
    script = script_of(arena, slowly=slowly)
    options = ('--overwrite',) if overwrite and arena.ours else ()
    if slowly and not arena.ours:
        options = (str(PAUSE_S),)
    job = Job(script, raw, arena.work / name, options)
    job.out.mkdir()
    if overwrite:
        earlier = lay_tiny(raw.with_name('earlier'), 3)
        save(earlier / 'masks' / 'good1.png', MASK)
        clean_of(arena, script, earlier)
    return job, clean_of(arena, script, raw)


def put_earlier(arena: Arena, job: Job) -> dict[str, str]:
    """An earlier version of the data set, of other masks, where the new one shall go."""
    earlier = job.source.with_name('earlier')
    made = converted(job.script, earlier) if arena.ours else Path(f'{earlier}.plain', job.target.name)
    shutil.copytree(made, job.target)
    return digests(job.target)


@fault('A1.kill', 'kill -9 at a random moment of a conversion', stock_losses=0.5, seed=1)
def kill(arena: Arena) -> Iterator[Trial]:
    rng = np.random.default_rng(arena.seed)
    for number in range(50 if arena.full else 5):
        overwrite = number % 2 == 1
        job, clean = lay_out(arena, f'kill{number}', _MANY, overwrite=overwrite)
        yield Trial(
            f'{number}, {"over an earlier one" if overwrite else "new"}',
            functools.partial(_kill, arena, job, clean, overwrite, rng.uniform(0, 1)),
        )


def _kill(arena: Arena, job: Job, clean: dict[str, str], overwrite: bool, share: float) -> Verdict:
    old = put_earlier(arena, job) if overwrite else {}
    started = time.monotonic()
    process = start(job)
    await_begin(process, job)
    # from the first image to the end of a conversion: it is this that may be interrupted
    time.sleep(share * (0.3 if arena.ours else 0.02))
    process.kill()
    finish(process, job, started)
    images = job.journal.read_text(encoding='utf-8').count('\n') if job.journal.is_file() else 0
    return after(job, clean, old, f'{images} of {_MANY} images were done')


@fault(
    'A2.publish', 'kill -9 at every moment of the publication of a data set', stock_losses=0.1, budget_s=90
)
def kill_publication(arena: Arena) -> Iterator[Trial]:
    for overwrite in (False, True):
        kind = 'over an earlier one' if overwrite else 'new'
        job, clean = lay_out(arena, f'state {overwrite}', 8, overwrite=overwrite)
        ready = unpublished(arena, job)
        probe = Job(job.script, job.source, arena.work / f'probe {overwrite}', job.options)
        shutil.copytree(ready, probe.out)
        if overwrite:
            put_earlier(arena, probe)
        found = moments(probe)
        for number in chosen(found, full=arena.full):
            event, path = found[number]
            strike = Job(job.script, job.source, arena.work / f'strike {overwrite} {number}', job.options)
            name = f'{kind}, {event} {os.path.basename(path)}'
            yield Trial(name, functools.partial(_strike, arena, strike, ready, clean, overwrite, number))


def unpublished(arena: Arena, job: Job) -> Path:
    """A folder in which all is converted and nothing published, so that each trial begins there."""
    if not arena.ours:
        return job.out
    found = moments(Job(job.script, job.source, job.out.with_name(f'{job.out.name} listed')))
    number = next(i for i, (event, path) in enumerate(found) if event == 'os.mkdir' and '.tmp-' in path)
    run(job, {'at': number, 'do': 'kill'})
    return job.out


def _strike(
    arena: Arena, job: Job, ready: Path, clean: dict[str, str], overwrite: bool, number: int
) -> Verdict:
    shutil.copytree(ready, job.out)
    old = put_earlier(arena, job) if overwrite else {}
    done = run(job, {'at': number, 'do': 'kill'})
    if done.code != -signal.SIGKILL:
        return Verdict(CRASHED, f'was not struck: {done.tail}')
    return after(job, clean, old)


@fault('A3.signal', 'SIGTERM and SIGINT during a conversion', stock_losses=0.5, seed=3)
def stop(arena: Arena) -> Iterator[Trial]:
    cases = {
        'SIGTERM': (signal.SIGTERM, False, 143),
        'SIGINT': (signal.SIGINT, False, 130),
        'Ctrl-C, to all processes': (signal.SIGINT, True, 130),
        'SIGTERM, to all processes': (signal.SIGTERM, True, 143),
    }
    for repeat in range(10 if arena.full else 1):
        for name, (number, to_all, code) in cases.items():
            job, clean = lay_out(arena, f'{name} {repeat}', _MANY, overwrite=False, slowly=True)
            yield Trial(name, functools.partial(_stop, job, clean, number, to_all, code))


def _stop(job: Job, clean: dict[str, str], number: signal.Signals, to_all: bool, code: int) -> Verdict:
    started = time.monotonic()
    process = start(job, apart=True)
    await_begin(process, job)
    sent = time.monotonic()
    if to_all:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = finish(process, job, started)
    took = time.monotonic() - sent
    if done.code == 0:
        return Verdict(CRASHED, 'had ended before the signal came')
    half = [path.name for path in job.out.iterdir() if '.tmp-' in path.name]
    if job.script != STOCK and (
        done.code != code or took > _STOPS_WITHIN_S * patience() or half or 'Traceback' in done.text
    ):
        return lossy(f'{took:.1f} s, left {half}, {done.tail}')
    return after(job, clean, {})


@fault('A6.twice', 'two conversions into one folder at the same time', stock_losses=0)
def twice(arena: Arena) -> Iterator[Trial]:
    job, clean = lay_out(arena, 'shared', _MANY, overwrite=False)
    yield Trial('two at once', functools.partial(_twice, arena, job, clean))


def _twice(arena: Arena, job: Job, clean: dict[str, str]) -> Verdict:
    started = time.monotonic()
    first = start(job)
    await_begin(first, job)
    first.send_signal(signal.SIGSTOP)
    other: Done = run(job, log='second')
    first.send_signal(signal.SIGCONT)
    done = finish(first, job, started)
    if not arena.ours:
        return survived() if digests(job.target) == clean else lossy('mixed')
    if done.code != 0 or other.code != ENVIRONMENT or 'another process' not in other.text:
        return lossy(f'{done.tail}; the second: {other.tail}')
    return after(job, clean, {})


@fault('A7.finished', 'kill -9 when a data set is in place and its archive still unpacked', stock_losses=1)
def kill_after_publication(arena: Arena) -> Iterator[Trial]:
    job, clean = lay_out(arena, 'whole', 8, overwrite=False)
    archive = Path(shutil.make_archive(str(arena.root / 'raw' / 'whole'), 'zip', job.source))
    if not arena.ours:
        out = arena.work / 'plain'
        out.mkdir()
        yield Trial('the end', functools.partial(_leaves_nothing, Job(job.script, archive, out), clean, -1))
        return
    probe = Job(job.script, archive, arena.work / 'probe')
    found = moments(probe)
    published = max(number for number, (event, path) in enumerate(found) if event in ('swap', 'os.rename'))
    late = {number: moment for number, moment in enumerate(found) if number > published}
    last_of_sort = {(event, Path(path).suffix): number for number, (event, path) in late.items()}
    for number in late if arena.full else sorted(last_of_sort.values()):
        event, path = found[number]
        strike = Job(job.script, archive, arena.work / f'strike {number}')
        yield Trial(
            f'{event} {os.path.basename(path)}', functools.partial(_leaves_nothing, strike, clean, number)
        )


def _leaves_nothing(job: Job, clean: dict[str, str], number: int) -> Verdict:
    """Killed after the publication; the next start refuses to write over the data set, and tidies up."""
    done = run(job, {'at': number, 'do': 'kill'} if number >= 0 else None)
    if number >= 0 and done.code != -signal.SIGKILL:
        return Verdict(CRASHED, f'was not struck: {done.tail}')
    if digests(job.target) != clean:
        return quiet(f'is not in place: {done.tail}')
    if job.script != STOCK:
        done = run(job)
        if done.code != ENVIRONMENT or 'exists already' not in done.text or digests(job.target) != clean:
            return lossy(done.tail)
    return lossy(f'left over: {leftovers(job)}') if leftovers(job) else survived()


@fault('A7.begun', 'what a conversion has done is kept when its next start is refused', stock_losses=0)
def kept_when_refused(arena: Arena) -> Iterator[Trial]:
    job, clean = lay_out(arena, 'begun', 8, overwrite=True)
    if arena.ours:
        yield Trial('over an earlier one', functools.partial(_kept, arena, job, clean))
    else:
        yield Trial('none', functools.partial(survived, 'it keeps nothing'))


def _kept(arena: Arena, job: Job, clean: dict[str, str]) -> Verdict:
    old = put_earlier(arena, job)
    found = moments(Job(job.script, job.source, arena.work / 'begun probe'))
    number = next(i for i, (event, path) in enumerate(found) if event == 'os.mkdir' and '.tmp-' in path)
    run(job, {'at': number, 'do': 'kill'})
    (job.journal.parent / LOCK_NAME).unlink()
    kept = digests(job.journal.parent)
    refused = run(Job(job.script, job.source, job.out))
    if refused.code != ENVIRONMENT or not kept or digests(job.journal.parent) != kept:
        return lossy(f'{len(kept)} files, then {len(digests(job.journal.parent))}: {refused.tail}')
    return after(job, clean, old)
