"""The fault suite as a test: a few faults always, all of them when there is time."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.faults import run, worker
from tests.faults.harness import GROUPS, Arena, Fault, FaultResult, Trial, quiet, run_fault, survived
from tests.faults.report import Outcome, as_json, as_markdown, failures
from tests.forked import run_forked

FAULTS = Path(__file__).parent


def attack(*trials: Trial) -> Fault:
    return Fault('X1.test', 'a test', lambda arena: trials, seed=0, budget_s=3, stock_losses=0.5)


def outcome(tmp_path: Path, trial: Trial, stack: str = 'ours') -> FaultResult:
    return run_fault(attack(trial), Arena(tmp_path / 'arena', stack, False, 0))


def test_harness_measures_what_the_code_under_test_did(tmp_path: Path) -> None:
    root = tmp_path / 'arena'

    def check(name: str, action: str) -> FaultResult:
        done = outcome(tmp_path / name, Trial(name, lambda: [exec(action), survived()][1]))  # noqa: S102
        assert done.trials == 1
        return done

    assert check('nothing', 'pass').count('S') == 1
    assert check('free', "open('here', 'w').write('x')").count('S') == 1
    ran = check('payload', "open('../canary/ran', 'a').write('xx')")
    assert ran.payloads_run == 2 and ran.count('Q') == 1
    lost = check('loss', "__import__('os').unlink('../previous/previous_0.bin')")
    assert lost.bytes_lost > 100 and lost.count('Q') == 1
    changed = check('change', "open('../outside/outside_0.bin', 'ab').write(b'x')")
    assert changed.bytes_lost > 100 and changed.count('Q') == 1
    escaped = check('escape', "open('../outside/new', 'w').write('x')")
    assert escaped.escapes == 1 and escaped.count('Q') == 1
    assert check('crash', "__import__('os').kill(__import__('os').getpid(), 11)").count('C') == 1
    assert check('exit', "__import__('os')._exit(0)").count('C') == 1
    assert check('memory', 'bytes(6 << 30)').count('C') == 1
    assert check('hang', "__import__('time').sleep(1000)").count('C') == 1
    assert not root.exists()


def test_suite_fails_when_a_fault_is_lost_skipped_or_toothless() -> None:
    fault = attack().described()
    good = FaultResult('X1.test', 'ours', [('a', 'S', '')])
    stock = FaultResult('X1.test', 'stock', [('a', 'Q', '')])

    def wrong(*results: FaultResult) -> list[str]:
        return failures(Outcome([fault], list(results)))

    assert wrong(good, stock) == []
    for outcome_ in 'LQC':
        (failure,) = wrong(FaultResult('X1.test', 'ours', [('a', outcome_, 'why')]), stock)
        assert f'1 x {outcome_}, such as a: why' in failure
    assert 'was not run on ours' in wrong(stock)[0]
    assert 'was not run on stock: boom' in wrong(good, FaultResult('X1.test', 'stock', error='boom'))[0]
    assert 'was not run on stock' in wrong(good, FaultResult('X1.test', 'stock'))[0], 'no trial is no run'
    assert 'lost its edge' in wrong(good, FaultResult('X1.test', 'stock', [('a', 'S', '')]))[0]
    spilt = FaultResult('X1.test', 'ours', [('a', 'S', '')], payloads_run=1)
    assert wrong(spilt, stock) == ['X1.test: payloads 1']
    whole = Outcome([fault], [good, stock])
    assert '| X1 | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 / 1 | 0 |' in as_markdown(whole)
    assert 'Every registered fault was run and survived.' in as_markdown(whole)
    assert failures(Outcome()) == ['no fault was chosen']


def test_executed_counts_what_ran_on_both_stacks() -> None:
    fault = attack().described()
    results = [FaultResult('X1.test', stack, [('a', 'S', '')]) for stack in ('ours', 'stock')]
    assert as_json(Outcome([fault], results))['executed'] == 1
    assert as_json(Outcome([fault], results[:1]))['executed'] == 0


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('import no_such_module', 'no_such_module'),
        ('', 'registers no fault'),
        (
            'from tests.faults.harness import fault\n'
            "@fault('G1.alien', 'in a file of another letter', stock_losses=0)\ndef alien(arena): return []\n",
            'belongs in a file group_g',
        ),
        (
            'import os\nfrom tests.faults.harness import fault\n'
            "@fault('X1.gone', 'its preparation ends the process', stock_losses=0)\n"
            'def gone(arena): os._exit(7)\n',
            'exit status 7',
        ),
    ],
)
def test_a_group_that_cannot_be_run_fails_the_suite(tmp_path: Path, text: str, said: str) -> None:
    copied = shutil.copytree(
        FAULTS, tmp_path / 'tests/faults', ignore=shutil.ignore_patterns('group_*', '__*')
    )
    (tmp_path / 'tests/__init__.py').touch()
    (copied / 'group_x_new.py').write_text(text, encoding='utf-8')
    environment = {**os.environ, 'PYTHONPATH': str(FAULTS.parents[1])}
    done = subprocess.run(
        [sys.executable, '-m', 'tests.faults.run', '--out', str(tmp_path / 'out')],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads((tmp_path / 'out/faults.json').read_text(encoding='utf-8'))
    assert done.returncode == 1 and said in report['failures'][0], done.stderr


def test_groups_that_measure_memory_do_not_load_torch() -> None:
    groups = ['a_corpus', 'b_corpus', 'c', 'c_volumes', 'd', 'f']
    assert set(groups) < set(GROUPS)
    lines = [f'import tests.faults.group_{group}' for group in groups]
    check = '\n'.join(['import sys', *lines, "sys.exit('torch' in sys.modules)"])
    done = subprocess.run(
        [sys.executable, '-c', check], cwd=FAULTS.parents[1], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr or 'torch is loaded'


def test_only_the_groups_of_a_letter_are_imported() -> None:
    assert run.groups_of(['C1', 'D']) == [group for group in GROUPS if group[0] in 'cd']
    assert run.groups_of([]) == list(GROUPS)


def test_a_choice_of_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(['--only', 'Z9', '--out', str(tmp_path)]) == 1
    assert '--only Z9: no fault has such an id' in capsys.readouterr().out


def test_verdicts_of_a_batch_are_all_counted(tmp_path: Path) -> None:
    done = outcome(tmp_path, Trial('two', lambda: [survived(), quiet('x')], 2))
    assert done.count('S') == done.count('Q') == 1


def test_a_trial_that_gives_fewer_verdicts_than_it_said_has_failed(tmp_path: Path) -> None:
    assert outcome(tmp_path, Trial('two', lambda: [survived()], 2)).count('C') == 2


def forked_worker(
    arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes], limit_s: float
) -> int:
    """Run a worker in a fork, which need not import torch and OpenMMLab once more."""
    main = functools.partial(worker.main, *arguments)
    done = run_forked(main, cwd=run.ROOT, environment=environment, timeout_s=limit_s)
    log.write(f'{done.stdout}{done.stderr}'.encode())
    return done.returncode


def test_a_few_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ultrasam.openmmlab.registry  # noqa: F401 (once, for both workers)

    monkeypatch.setattr(run, 'start_worker', forked_worker)
    chosen = ['--only', 'G1.cut.zip', '--only', 'G2.reader', '--only', 'G3.environment']
    assert run.main([*chosen, '--jobs', '1', '--out', str(tmp_path)]) == 0
    report = json.loads((tmp_path / 'faults.json').read_text(encoding='utf-8'))
    assert report['registered'] == report['executed'] == 3
    stock = {result['id']: result for result in report['results'] if result['stack'] == 'stock'}
    assert stock['G2.reader']['payloads_run'] >= 30, 'the payloads are real'


@pytest.mark.slow
def test_every_fault(tmp_path: Path) -> None:
    assert run.main(['--out', str(tmp_path)]) == 0
    assert 'Every registered fault was run and survived.' in (tmp_path / 'faults.md').read_text(
        encoding='utf-8'
    )
