"""Rows of the benchmark are compared before they are timed, and say where and how they were measured."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from .conftest import FOLDER


@pytest.fixture
def harness() -> Any:
    return importlib.import_module('harness')


def report_of(harness: Any, *options: str) -> Any:
    threads = torch.get_num_threads()
    return harness.Report('a row', harness.parser('').parse_args(['--threads', str(threads), *options]))


class Quiet:
    """Nobody else at work, or somebody."""

    share = 0.0

    def share_of_others(self) -> float:
        return self.share


@pytest.fixture
def quiet(harness: Any, monkeypatch: pytest.MonkeyPatch) -> type[Quiet]:
    class Watch(Quiet):
        pass

    monkeypatch.setattr(harness, 'Watch', Watch)
    return Watch


def test_ratio_and_rate(harness: Any, quiet: type[Quiet]):
    report = report_of(harness, '--repeats', '3')
    report.rates['float32'] = 1e12
    now = [0.0]

    def lasting(time_taken: float) -> None:
        now[0] += time_taken

    row = report.compare(
        'two images',
        {'ours': lambda: lasting(0.01), 'peer': lambda: lasting(0.03)},
        flop=1e6,
        gemm='float32',
        units=2,
        unit='image',
        clock=lambda: now[0],
    )
    assert len(row['sides']['peer']['all']) == 3
    assert row['sides']['ours']['median'] == pytest.approx(0.005)
    assert row['times_as_fast']['peer']['ratio_of_medians'] == pytest.approx(3)
    assert row['rate'] == pytest.approx(1e6 / 0.01)
    assert row['share_of_gemm'] == pytest.approx(row['rate'] / 1e12)
    assert not row['disturbed']


@pytest.mark.parametrize(
    ('theirs', 'tolerance', 'equal'),
    [
        (torch.ones(3) * 1.001, 0.01, True),
        (torch.ones(3) * 1.001, 1e-4, False),
        (torch.ones(4), 1.0, False),
        (torch.tensor([1.0, 1.0, float('nan')]), 1.0, False),
        (torch.ones(3) * 9, {'peer': 10.0}, True),
        (torch.ones(3) * 9, {'another': 10.0}, False),
        (torch.ones(3) * 9, float('inf'), True),
    ],
)
def test_nothing_is_timed_where_results_differ(
    harness: Any, quiet: type[Quiet], theirs: torch.Tensor, tolerance: Any, equal: bool
):
    report = report_of(harness, '--repeats', '1')
    sides = {'ours': lambda: torch.ones(3), 'peer': lambda: theirs}
    if equal:
        report.compare('x', sides, tolerance=tolerance)
        assert len(report.rows) == 1
    else:
        with pytest.raises(SystemExit, match=r'x: peer differs from ours .* nothing timed'):
            report.compare('x', sides, tolerance=tolerance)
        assert not report.rows


def test_differences_of_any_result(harness: Any):
    assert (
        harness.difference((np.ones(2), [torch.zeros(1), 'a']), (torch.ones(2), [np.full(1, 0.5), 'a']))
        == 0.5
    )
    assert harness.difference(['a'], ['b']) == harness.difference([1], [1, 2]) == float('inf')
    assert harness.difference(np.array([True, False]), np.array([True, False])) == 0.0


def test_a_disturbed_row_is_marked_or_refused(harness: Any, quiet: type[Quiet]):
    quiet.share = 0.2
    report = report_of(harness, '--repeats', '1')
    report.compare('busy', {'ours': lambda: 1})
    tables = importlib.import_module('tables')
    assert 'disturbed: others took 20%' in tables.markdown(report.content())
    with pytest.raises(SystemExit, match='busy: other processes took 20%'):
        report_of(harness, '--repeats', '1', '--strict').compare('busy', {'ours': lambda: 1})


def test_watch_sees_others_and_not_itself(harness: Any):
    machine = importlib.import_module('machine')
    watch = machine.Watch()
    while (own := machine._own_seconds() - watch.own) < 0.15:
        pass
    assert 0 <= watch.share_of_others() <= 1
    # as much time of processors that is not ours counts
    watch.own += own
    assert watch.share_of_others() > 0


def test_matrix_products_are_measured_here(harness: Any, monkeypatch: pytest.MonkeyPatch):
    machine = importlib.import_module('machine')
    for name, call, flop in machine.products(torch.float32, torch.device('cpu')):
        assert call().shape == (4096, 3072), name
        assert flop == 2 * 4096 * 768 * 3072
    monkeypatch.setattr(harness, 'products', lambda dtype, device: [('small', lambda: time.sleep(1e-3), 1e6)])
    assert 1e7 < report_of(harness).gemm(torch.float32)['small'] < 1e9


def test_tables_and_figures(harness: Any, quiet: type[Quiet], tmp_path: Path, capsys: pytest.CaptureFixture):
    report = report_of(harness, '--repeats', '1', '--json', str(tmp_path / 'x.json'))
    report.compare('fast', {'ours': lambda: 1, 'peer': lambda: 1})
    report.figures('memory', {'ours': 2.0, 'peer': 9.0}, 'GiB')
    report.quote('decoder', '29 times', 'elsewhere')
    report.absent('on a GPU')
    report.finish()
    text = capsys.readouterr().out
    for part in ('| fast | ours |', 'ours 2, peer 9 GiB | peer 4.50', '| decoder | 29 times | elsewhere |'):
        assert part in text
    assert '- on a GPU: not measured, no GPU here' in text
    content = json.loads((tmp_path / 'x.json').read_text())
    assert content['machine']['cores'] >= 1
    assert content['machine']['versions']['torch'] == torch.__version__.split('+')[0]
    assert [row['name'] for row in content['rows']] == ['fast', 'memory']


def test_every_command_is_there_and_has_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    bench = importlib.import_module('bench')
    names = [*bench.COMMANDS, 'bench']
    assert [name for name in names if not (FOLDER / f'{name}.py').is_file()] == []
    monkeypatch.setattr(sys, 'argv', ['bench.py', '--help'])
    with pytest.raises(SystemExit) as stop:
        bench.arguments()
    assert stop.value.code == 0
    assert 'python benchmarks/bench.py --full' in capsys.readouterr().out


def test_a_row_that_fails_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    bench = importlib.import_module('bench')
    (tmp_path / 'good.py').write_text("import sys; print('| a | b |'); print(sys.argv[1:])")
    (tmp_path / 'bad.py').write_text("import sys; print('half a table'); sys.exit('it broke')")
    monkeypatch.setattr(bench, 'HERE', tmp_path)
    monkeypatch.setattr(
        bench,
        'COMMANDS',
        {'bad': bench.Command(figures=False), 'good': bench.Command(quick=('--one',), figures=False)},
    )
    out = tmp_path / 'out'
    args = argparse.Namespace(rows=['bad', 'good'], full=False, strict=False, out=out, overwrite=False)
    monkeypatch.setattr(bench, 'arguments', lambda: args)
    assert bench.main() == 1
    text = (out / 'results.md').read_text()
    assert 'half a table' in text
    assert '**failed** (exit 1): it broke' in text
    assert "['--one']" in text
    assert '29 times' in text
    assert [row['failed'] for row in json.loads((out / 'results.json').read_text())['rows']] == [True, False]
