"""Runs that are stopped, resumed, starved and spoiled, and what is on the disk afterwards."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.runner import runner as runner_module

from tests.golden import ROOT
from tests.training.tiny import RandomModel, Record, ReplayedFrames, kill_worker_at, make_runner
from ultrasam.errors import CheckpointError, OutputError, SampleError, TrainingError
from ultrasam.openmmlab.checkpoints.resume import find_resume_point


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    # it asks every compiler for its version, which takes a second a runner
    monkeypatch.setattr(runner_module, 'collect_env', dict)


def straight(folder: Path, **options) -> Record:
    record = Record()
    make_runner(folder / 'straight', record, **options).train()
    return record


@pytest.mark.parametrize('workers', [0, 2])
def test_a_resumed_run_has_the_losses_of_one_that_never_stopped(tmp_path: Path, workers: int):
    expected = straight(tmp_path, workers=workers)
    first, second = Record(), Record()
    make_runner(tmp_path / 'run', first, iterations=8, workers=workers).train()
    for name in ('iter_8.pth', 'iter_8.pth.sha256'):
        assert (tmp_path / 'run' / name).exists()
    make_runner(tmp_path / 'run', second, workers=workers, resume=True).train()
    assert sorted(second.losses) == [8, 9, 10, 11]
    assert {**first.losses, **second.losses} == expected.losses
    assert first.seen + second.seen == expected.seen


def test_the_number_of_workers_does_not_matter(tmp_path: Path):
    one, two = (straight(tmp_path / str(workers), workers=workers) for workers in (0, 2))
    assert one.seen == two.seen
    assert one.losses == two.losses
    assert len(set(one.losses.values())) == 12


def ask(number: int):
    return lambda runner: os.kill(os.getpid(), number)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_the_run_with_a_checkpoint(tmp_path: Path, number: int):
    expected = straight(tmp_path)
    first, second = Record({4: ask(number)}), Record()
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as end:
        make_runner(tmp_path / 'run', first).train()
    assert end.value.code == 128 + number
    assert signal.getsignal(number) == before
    assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith('iter_5.pth')
    make_runner(tmp_path / 'run', second, resume=True).train()
    assert {**first.losses, **second.losses} == expected.losses


def test_a_signal_does_not_wait_for_validation(tmp_path: Path):
    class Asked(Record):
        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError('validation went on')

    with pytest.raises(SystemExit):
        make_runner(tmp_path / 'run', Asked()).train()
    assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith('iter_3.pth')


def weights_into(kept: dict, step: int):
    return lambda runner: kept.update({step: runner.model.layer.weight.detach().clone()})


@pytest.mark.parametrize('bad', ['loss', 'gradient'])
def test_a_step_that_is_not_finite_changes_nothing_and_is_named(tmp_path: Path, bad: str):
    weights = {}
    record = Record({step: weights_into(weights, step) for step in range(12)})
    runner = make_runner(tmp_path / 'run', record, model=RandomModel((5, 7), bad))
    runner.train()
    for step in (5, 7):
        assert torch.equal(weights[step], weights[step - 1])
        assert not torch.equal(weights[step + 1], weights[step])
    assert torch.isfinite(weights[11]).all()
    assert runner.optim_wrapper.skipped == {bad: 2}
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert f'step 6 skipped, as its loss or gradient is not finite: {", ".join(record.seen[10:12])}' in log


def test_bad_steps_in_a_row_end_the_run_before_a_checkpoint(tmp_path: Path):
    with pytest.raises(TrainingError, match=r'5 of 10 steps .* 5 of them in a row.*saw frame_') as end:
        make_runner(tmp_path / 'run', Record(), model=RandomModel(tuple(range(5, 12)))).train()
    assert 'lower the learning rate' in str(end.value)
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == [
        'iter_4.pth',
        'iter_8.pth',
        'last.pth',
    ]


def test_too_many_bad_steps_end_the_run(tmp_path: Path):
    model = RandomModel(tuple(range(0, 200, 10)))
    with pytest.raises(TrainingError, match='11 of 101 steps'):
        make_runner(tmp_path / 'run', Record(), model=model, iterations=200, interval=50).train()


def test_a_spoiled_part_of_an_accumulated_step_spoils_it_all(tmp_path: Path):
    weights = {}
    record = Record(
        {
            step: lambda r, s=step: weights.update({s: r.model.layer.weight.detach().clone()})
            for step in range(8)
        }
    )
    make_runner(
        tmp_path / 'run', record, iterations=8, model=RandomModel((4,)), wrapper=dict(accumulative_counts=2)
    ).train()
    assert torch.equal(weights[5], weights[3])
    assert not torch.equal(weights[7], weights[5])


HOLD = """
import sys
from ultrasam.atomic import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_belongs_to_one_run(tmp_path: Path):
    (tmp_path / 'run').mkdir()
    with subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path / 'run')],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b'held\n'
        with pytest.raises(OutputError, match=f'process {other.pid}'):
            make_runner(tmp_path / 'run', Record()).train()
        assert not list((tmp_path / 'run').glob('*.pth'))
        other.kill()
        other.wait()
        make_runner(tmp_path / 'run', Record()).train()


def fail_at(index: int, found: int) -> None:
    if found == index:
        raise ValueError('no such\ncolour')


@pytest.mark.parametrize('workers', [0, 2])
def test_a_sample_that_cannot_be_loaded_is_named(tmp_path: Path, workers: int):
    frames = ReplayedFrames(functools.partial(fail_at, 7))
    with pytest.raises(SampleError) as end:
        make_runner(tmp_path / 'run', Record(), frames=frames, workers=workers).train()
    assert str(end.value).endswith('frame_07.png: cannot be loaded: ValueError: no such colour')
    assert len(str(end.value)) < 120


def test_a_dead_worker_names_what_it_was_loading(tmp_path: Path):
    frames = ReplayedFrames(kill_worker_at(7))
    with pytest.raises(TrainingError, match=r'a data worker died.*frame_07\.png'):
        make_runner(tmp_path / 'run', Record(), frames=frames, workers=1).train()


def hang_at(index: int, found: int) -> None:
    if found == index:
        time.sleep(600)


def test_a_worker_that_hangs_is_not_waited_for(tmp_path: Path):
    frames = ReplayedFrames(functools.partial(hang_at, 7))
    start = time.monotonic()
    with pytest.raises(TrainingError, match=r'timed out.*frame_07\.png'):
        make_runner(tmp_path / 'run', Record(), frames=frames, workers=1).train()
    assert time.monotonic() - start < 60


@pytest.mark.parametrize('change', [dict(batch_size=4), dict(seed=4)])
def test_other_batches_than_those_it_began_with_are_refused(tmp_path: Path, change: dict):
    make_runner(tmp_path / 'run', Record(), iterations=4).train()
    with pytest.raises(CheckpointError, match=r'images_per_process 2 \(now 4\)|seed 3 \(now 4\)'):
        make_runner(tmp_path / 'run', Record(), resume=True, **change).train()


def test_memory_that_runs_out_is_explained(tmp_path: Path):
    class Hungry(RandomModel):
        def forward(self, inputs, data_samples=None, mode='tensor'):
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB')

    with pytest.raises(TrainingError, match=r'batch_size=1 with optim_wrapper\.accumulative_counts=2') as end:
        make_runner(tmp_path / 'run', Record(), model=Hungry()).train()
    assert 'frame_' in str(end.value)


def ask_all_processes(number: int):
    """As a scheduler does, and a user at the keyboard."""

    def strike(runner) -> None:
        workers = [str(worker.pid) for worker in multiprocessing.active_children()]
        # from a process that is not their parent, which may end them
        subprocess.run(['kill', f'-{number}', *workers], check=True)
        # a worker that dies of it is noticed by now
        time.sleep(0.3)
        os.kill(os.getpid(), number)

    return strike


class ThreadInEveryChild:
    """A library whose threads come back in every process that is forked, before anything else runs there."""

    def __init__(self) -> None:
        self.is_wanted = True
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        if self.is_wanted:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


@pytest.fixture(params=[False, True], ids=['plain', 'threads of libraries'])
def children(request: pytest.FixtureRequest) -> Iterator[None]:
    library = ThreadInEveryChild() if request.param else None
    yield
    if library is not None:
        # what is registered stays so
        library.is_wanted = False


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.usefixtures('children')
def test_data_workers_leave_the_end_to_the_main_process(tmp_path: Path, number: int):
    first, second = Record({4: ask_all_processes(number)}), Record()
    with pytest.raises(SystemExit) as end:
        make_runner(tmp_path / 'run', first, workers=2).train()
    assert end.value.code == 128 + number
    make_runner(tmp_path / 'run', second, resume=True).train()
    assert sorted({**first.losses, **second.losses}) == list(range(12))


@pytest.mark.usefixtures('children')
def test_data_workers_end_when_the_main_process_says_so(tmp_path: Path):
    ended = []

    def strike(runner) -> None:
        workers = multiprocessing.active_children()
        # what torch does to a worker that hangs; it looks at the first of these only
        workers[-1].terminate()
        workers[-1].join(20)
        ended.append(workers[-1].exitcode)
        raise StopIteration

    with pytest.raises(StopIteration):
        make_runner(tmp_path / 'run', Record({4: strike}), workers=2).train()
    assert ended == [0]


@pytest.mark.parametrize('bad_steps', [(), tuple(range(3, 12))], ids=['to the end', 'with an error'])
def test_no_data_worker_outlives_the_run(tmp_path: Path, bad_steps: tuple[int, ...]):
    runner = make_runner(tmp_path / 'run', Record(), model=RandomModel(bad_steps), workers=2)
    before = {child.pid for child in multiprocessing.active_children()}
    with pytest.raises(TrainingError) if bad_steps else nullcontext():
        runner.train()
    assert runner.iter > 2
    assert {child.pid for child in multiprocessing.active_children()} <= before


def test_links_that_leave_the_folder_are_passed_over(tmp_path: Path):
    for name, seed in (('run', 3), ('other', 3)):
        make_runner(tmp_path / name, Record(), iterations=8, seed=seed).train()
    (tmp_path / 'run' / 'iter_20.pth').symlink_to(tmp_path / 'other' / 'iter_8.pth')
    (tmp_path / 'run' / 'iter_24.pth').symlink_to(tmp_path / 'nowhere.pth')
    found = find_resume_point([tmp_path / 'run'])
    assert found.path == tmp_path / 'run' / 'iter_8.pth'
    (tmp_path / 'run' / 'last_checkpoint').unlink()
    found = find_resume_point([tmp_path / 'run'])
    assert found.path == tmp_path / 'run' / 'iter_8.pth'
    assert all(f'{name}.pth: a link to' in ' '.join(found.rejected) for name in ('iter_20', 'iter_24'))
