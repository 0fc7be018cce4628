"""The fault suite as a test: a few faults always, all of them when there is time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults import run
from tests.faults.harness import Arena, Fault, FaultResult, Trial, quiet, run_fault, survived
from tests.faults.report import as_markdown, failures


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
    assert check('hang', "__import__('time').sleep(30)").count('C') == 1
    assert not root.exists()


def test_suite_fails_when_a_fault_is_lost_skipped_or_toothless() -> None:
    fault = attack().described()
    good = FaultResult('X1.test', 'ours', [('a', 'S', '')])
    stock = FaultResult('X1.test', 'stock', [('a', 'Q', '')])
    assert failures([fault], [good, stock]) == []
    for outcome_ in 'LQC':
        (failure,) = failures([fault], [FaultResult('X1.test', 'ours', [('a', outcome_, 'why')]), stock])
        assert f'1 x {outcome_}, such as a: why' in failure
    assert 'was not run on ours' in failures([fault], [stock])[0]
    assert (
        'was not run on stock: boom'
        in failures([fault], [good, FaultResult('X1.test', 'stock', error='boom')])[0]
    )
    toothless = FaultResult('X1.test', 'stock', [('a', 'S', '')])
    assert 'lost its edge' in failures([fault], [good, toothless])[0]
    spilt = FaultResult('X1.test', 'ours', [('a', 'S', '')], payloads_run=1)
    assert failures([fault], [spilt, stock]) == ['X1.test: payloads 1']
    assert '| X1 | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0 / 1 | 0 |' in as_markdown([fault], [good, stock])


def test_verdicts_of_a_batch_are_all_counted(tmp_path: Path) -> None:
    done = outcome(tmp_path, Trial('two', lambda: [survived(), quiet('x')], 2))
    assert done.count('S') == done.count('Q') == 1


def test_a_few_faults(tmp_path: Path) -> None:
    chosen = ['--only', 'G1.cut.zip', '--only', 'G2.reader', '--only', 'G3.environment']
    assert run.main([*chosen, '--out', str(tmp_path)]) == 0
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
