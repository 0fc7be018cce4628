"""Group I: two processes on one CPU, of which one is killed, stops, fails or differs from the other."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.harness import CRASHED, Arena, Trial, Verdict, fault, lossy, patience, quiet, survived
from tests.faults.training_runs import (
    REFUSED,
    ROOT,
    Done,
    Run,
    clumsy,
    ending,
    finished,
    history,
    resume_point,
    start,
    steps,
    undisturbed,
)
from ultrasam.openmmlab.launch import load_run_config

_GONE_WITHIN_S = 10
_TIMEOUT_S, _MARGIN_S = 5, 5
# torchrun asks the other processes to end, and ends a process that is stopped only after so long
_TORCHRUN_S = 30
_LONGEST_DEFAULT_S = 300
_BALLAST_MB = 24


def _two(arena: Arena, name: str, **options: object) -> Run:
    return Run(arena, name, ranks=2, **options)  # type: ignore[arg-type]


def _ranks(run: Run) -> dict[int, int]:
    """Process of each rank that has taken a step."""
    return {step.rank: step.pid for step in steps(run)}


def _alive(run: Run) -> list[int]:
    found = []
    for pid in {step.pid for step in steps(run)}:
        status = Path(f'/proc/{pid}/stat')
        try:
            # the process that started a rank may not have asked yet how it ended
            if status.read_text().rpartition(')')[2].split()[0] != 'Z':
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@fault('I1.rank', 'one of two processes is killed, or fails', stock_losses=0)
def rank_ends(arena: Arena) -> Iterator[Trial]:
    for what, more in (('signal', signal.SIGKILL), ('raise', 'a mistake')):
        run = _two(
            arena, what, iterations=200, strikes=((6, 1, what, int(more) if what == 'signal' else more),)
        )
        yield Trial(what, functools.partial(_all_end, run))


def _all_end(run: Run) -> Verdict:
    with ending(start(run)) as started:
        if not started.wait_for(lambda: any(run.folder.glob('*.struck'))):
            return Verdict(CRASHED, f'was not struck: {started.finish().tail}')
        struck = time.monotonic()
        ended = started.wait_for(started.ended)
        took, alive = time.monotonic() - struck, _alive(run)
        done = started.finish()
    if not ended or alive:
        return Verdict(CRASHED, f'{len(alive)} processes go on: {done.tail}')
    if done.code == 0:
        return quiet('says that all is well')
    if took > _GONE_WITHIN_S * patience():
        return lossy(f'took {took:.1f} s')
    path, saved = resume_point(run)
    return survived(f'{took:.1f} s') if path and saved == 4 else lossy(f'{path}, {saved} steps')


@fault('I2.stopped', 'one of two processes stops without ending', stock_losses=0.5, budget_s=90)
def rank_stops(arena: Arena) -> Iterator[Trial]:
    run = _two(
        arena, 'stopped', iterations=200, distributed_timeout_s=_TIMEOUT_S,
        strikes=((6, 1, 'signal', int(signal.SIGSTOP)),),
    )  # fmt: skip
    yield Trial('SIGSTOP', functools.partial(_ends_in_time, run))
    yield Trial('as configured', functools.partial(_default_timeout, arena))


def _ends_in_time(run: Run) -> Verdict:
    with ending(start(run)) as started:
        if not started.wait_for(lambda: any(run.folder.glob('*.struck'))):
            return Verdict(CRASHED, f'was not struck: {started.finish().tail}')
        struck = time.monotonic()
        # the stock stack waits for half an hour: there is no need to see the end of it
        allowed = _TIMEOUT_S + _MARGIN_S * patience() + (_TORCHRUN_S if run.arena.ours else 0)
        ended = started.wait_for(started.ended, allowed / patience())
        took = time.monotonic() - struck
        alive = _alive(run)
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
        done = started.finish(1)
    if not ended:
        return Verdict(CRASHED, f'{len(alive)} processes are there after {took:.1f} s: {done.tail}')
    return quiet('says that all is well') if done.code == 0 else survived(f'{took:.1f} s')


def _default_timeout(arena: Arena) -> Verdict:
    if not arena.ours:
        from torch.distributed.constants import default_pg_timeout

        seconds = default_pg_timeout.total_seconds()
    else:
        cfg = load_run_config(str(ROOT / 'configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine.py'))
        seconds = cfg.env_cfg.dist_cfg.timeout
    return survived(f'{seconds} s') if seconds <= _LONGEST_DEFAULT_S else lossy(f'{seconds} s')


@fault('I3.saving', 'one process is killed while the other saves', stock_losses=0.5)
def killed_while_saving(arena: Arena) -> Iterator[Trial]:
    for number in range(10 if arena.full else 2):
        run = _two(
            arena, f'saving{number}', iterations=60, interval=1, keep=1, model={'ballast_mb': _BALLAST_MB}
        )
        yield Trial(str(number), functools.partial(_kill_while_saving, run, 3 + number))


def _kill_while_saving(run: Run, count: int) -> Verdict:
    with ending(start(run)) as started:

        def saves() -> bool:
            """Whether a checkpoint is being written, and not the first ones."""
            names = ('.tmp-*.pth',) if run.arena.ours else (f'iter_{step}.pth' for step in range(count, 60))
            return len(steps(run)) > 2 * count and any(any(run.folder.glob(name)) for name in names)

        if not started.wait_for(saves):
            return Verdict(CRASHED, f'saved nothing: {started.finish().tail}')
        os.kill(_ranks(run)[1], signal.SIGKILL)
        # rank 0 has lost the other, and goes as soon as it notices; a scheduler does not wait for that
        os.kill(_ranks(run)[0], signal.SIGKILL)
        ended = started.wait_for(started.ended)
        done = started.finish()
    if not ended or done.code == 0:
        return Verdict(CRASHED, done.tail)
    path, saved = resume_point(run)
    taken = max(step.step for step in steps(run)) + 1
    if path is None or taken - saved > run.interval:
        return lossy(f'{path}: {saved} of {taken} steps are kept')
    return survived(f'{saved} of {taken} steps are kept')


@fault('I4.restart', 'one of two processes is killed, and torchrun starts them again', stock_losses=1)
def restarted(arena: Arena) -> Iterator[Trial]:
    whole = undisturbed(_two(arena, 'straight'))
    # three, as torchrun is best started: gloo itself now and then fails to join the processes again
    run = replace(
        whole, name='restarted', restarts=3, resume=True, strikes=((6, 1, 'signal', int(signal.SIGKILL)),)
    )
    yield Trial('killed once', functools.partial(_goes_on_alone, run, whole))


def _goes_on_alone(run: Run, whole: Run) -> Verdict:
    done = finished(run)
    if done.code != 0:
        return lossy(done.tail)
    found, truth = history(run), history(whole)
    twice = len(steps(run)) - len(truth)
    if found != truth:
        return quiet(f'{sum(found.get(key) != truth[key] for key in truth)} of {len(truth)} steps differ')
    return survived(f'{twice} steps were taken twice') if 0 < twice <= 2 * run.interval else lossy(f'{twice}')


@fault('I5.nan', 'a loss or a gradient that is not finite in one process only', stock_losses=1)
def one_spoiled(arena: Arena) -> Iterator[Trial]:
    for bad in ('nan', 'gradient'):
        run = _two(arena, bad, model={'bad': bad, 'bad_steps': (5,), 'bad_rank': 1})
        yield Trial(bad, functools.partial(_same_step_skipped, run))


def _same_step_skipped(run: Run) -> Verdict:
    done = finished(run)
    if done.code != 0:
        return clumsy(done) or lossy(done.tail)
    weights = [{step.step: step.weights for step in steps(run) if step.rank == rank} for rank in (0, 1)]
    if weights[0] != weights[1]:
        return quiet('the processes have other weights')
    unchanged = [step for step in range(1, run.iterations) if weights[0][step] == weights[0][step - 1]]
    return survived() if unchanged == [5] else quiet(f'skipped {unchanged}')


@fault('I6.layout', 'a run of two processes goes on with one', stock_losses=1)
def other_size(arena: Arena) -> Iterator[Trial]:
    run = undisturbed(_two(arena, 'two', iterations=8))
    yield Trial('one of two', functools.partial(_refuses_layout, run.resumed(ranks=1, iterations=12)))


def _refuses_layout(run: Run) -> Verdict:
    before = len(steps(run))
    done: Done = finished(run)
    if done.code == 0:
        return quiet('went on with other batches')
    if done.code != REFUSED or 'processes 2 (now 1)' not in done.text or len(steps(run)) != before:
        return lossy(done.tail)
    return clumsy(done) or survived(done.tail)


@fault('I6.port', 'the port that the processes meet at is taken', stock_losses=0, budget_s=120)
def port_taken(arena: Arena) -> Iterator[Trial]:
    run = Run(arena, 'taken')
    yield Trial('taken', functools.partial(_says_which_port, run))


def _says_which_port(run: Run) -> Verdict:
    config = run.write()
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        if run.arena.ours:
            command = [str(ROOT / 'tools/dist_train.sh'), str(config), '2']
        else:
            command = [
                sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_addr=127.0.0.1',
                f'--master_port={port}', str(ROOT / 'tools/train.py'), str(config),
            ]  # fmt: skip
        environment = {**os.environ, 'PORT': str(port), 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT)}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False, timeout=60 * patience()
            )
        except subprocess.TimeoutExpired:
            return Verdict(CRASHED, 'waits for ever')
    last = done.stderr.strip().splitlines()[-1:] or ['']
    if done.returncode == 0:
        return quiet('trained')
    if run.arena.ours and (str(port) not in last[0] or 'Traceback' in done.stderr):
        return lossy(f'exit {done.returncode}: {done.stderr[-200:]}')
    return survived(last[0])
